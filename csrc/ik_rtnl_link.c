/* Knows: network devices as rtnetlink messages. Must not know: addresses, sockets. See ik_rtnl.h. */
#include "ik_rtnl.h"

#include <errno.h>
#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>

_Static_assert(IK_RTNL_NAME == IFNAMSIZ, "IFNAMSIZ");
_Static_assert((int)IK_RTNL_UP == (int)IFF_UP, "IFF_UP");

static const struct {
    uint16_t type;
    uint16_t flags;
} commands[] = {
    [IK_RTNL_NEW_LINK] = {RTM_NEWLINK, NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL},
    [IK_RTNL_CHANGE_LINK] = {RTM_NEWLINK, NLM_F_REQUEST},
    [IK_RTNL_DELETE_LINK] = {RTM_DELLINK, NLM_F_REQUEST},
    [IK_RTNL_GET_LINK] = {RTM_GETLINK, NLM_F_REQUEST},
};

static void put_text(struct ik_writer *writer, uint16_t type, const char *text, size_t size)
{
    char copy[IK_RTNL_KIND] = {0};
    size_t length = strnlen(text, size - 1);

    memcpy(copy, text, length);
    ik_put_attr(writer, type, copy, length + 1);
}

static void put_link(struct ik_writer *writer, int command, const struct ik_rtnl_link *record, uint32_t sequence)
{
    struct ifinfomsg header = {
        .ifi_family = AF_UNSPEC, .ifi_index = (int)record->index, .ifi_flags = record->flags, .ifi_change = record->change};
    size_t start = ik_message_begin(writer, commands[command].type, commands[command].flags, sequence);
    uint8_t *room = ik_put_room(writer, sizeof(header));

    if (room != NULL) {
        memcpy(room, &header, sizeof(header));
    }
    /* With a number, a name would be a new one. */
    if (record->index == 0) {
        put_text(writer, IFLA_IFNAME, record->name, IK_RTNL_NAME);
    }
    if (command == IK_RTNL_NEW_LINK) {
        size_t nest = ik_nest_begin(writer, IFLA_LINKINFO);
        put_text(writer, IFLA_INFO_KIND, record->kind, IK_RTNL_KIND);
        ik_nest_end(writer, nest);
    }
    ik_message_end(writer, start);
}

long ik_rtnl_encode_links(int command, const struct ik_rtnl_link *records, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                          size_t *used)
{
    struct ik_writer writer;
    size_t done = 0;

    ik_writer_init(&writer, out, room);
    *used = 0;
    if (command < IK_RTNL_NEW_LINK || command > IK_RTNL_GET_LINK) {
        return -EINVAL;
    }
    for (; done < count; done++) {
        if (records[done].index > INT32_MAX) {
            return -EINVAL;
        }
        put_link(&writer, command, &records[done], sequence + (uint32_t)done);
        if (writer.overflow) {
            break;
        }
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}

long ik_rtnl_encode_dump(bool links, uint32_t sequence, uint8_t *out, size_t room)
{
    /* A header as long as that of the rows: shorter ones are taken for something else by kernels that check strictly. */
    size_t header = links ? sizeof(struct ifinfomsg) : sizeof(struct ifaddrmsg);
    struct ik_writer writer;

    ik_writer_init(&writer, out, room);
    size_t start = ik_message_begin(&writer, links ? RTM_GETLINK : RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, sequence);
    (void)ik_put_room(&writer, header);
    ik_message_end(&writer, start);
    return writer.overflow ? -ENOSPC : (long)writer.length;
}

static int take_text(const struct ik_attr *attr, char *field, size_t size)
{
    if (attr->payload.left > size || memchr(attr->payload.data, 0, attr->payload.left) == NULL) {
        return -EBADMSG;
    }
    memset(field, 0, size);
    memcpy(field, attr->payload.data, strnlen((const char *)attr->payload.data, attr->payload.left));
    return 0;
}

static int take_info(struct ik_reader nest, struct ik_rtnl_link *row)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&nest, &attr)) > 0) {
        if (attr.type == IFLA_INFO_KIND && take_text(&attr, row->kind, sizeof(row->kind)) < 0) {
            return -EBADMSG;
        }
    }
    return more;
}

static int take_attr(const struct ik_attr *attr, struct ik_rtnl_link *row)
{
    switch (attr->type) {
    case IFLA_IFNAME:
        return take_text(attr, row->name, sizeof(row->name));
    case IFLA_LINKINFO:
        return take_info(attr->payload, row);
    case IFLA_MTU:
        if (attr->payload.left != sizeof(row->mtu)) {
            return -EBADMSG;
        }
        memcpy(&row->mtu, attr->payload.data, sizeof(row->mtu));
        return 0;
    default:
        return 0;
    }
}

static int parse_link(struct ik_reader payload, struct ik_rtnl_link *row)
{
    struct ifinfomsg header;
    struct ik_attr attr;
    int more;

    if (payload.left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, payload.data, sizeof(header));
    *row = (struct ik_rtnl_link){.index = (uint32_t)header.ifi_index, .flags = header.ifi_flags};
    (void)ik_skip(&payload, ik_align(sizeof(header)));
    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = take_attr(&attr, row);
        if (result < 0) {
            return result;
        }
    }
    return more < 0 || header.ifi_index <= 0 || row->name[0] == 0 ? -EBADMSG : 0;
}

long ik_rtnl_parse_links(const uint8_t *data, size_t length, struct ik_rtnl_link *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_rtnl_link row;
    struct ik_message message;
    long found = 0;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        if (message.type != RTM_NEWLINK) {
            continue;
        }
        int result = parse_link(message.payload, &row);
        if (result < 0) {
            return result;
        }
        if ((size_t)found < room) {
            out[found] = row;
        }
        found++;
    }
    return more < 0 ? more : found;
}
