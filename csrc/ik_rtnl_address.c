/* Knows: addresses of devices as rtnetlink messages. Must not know: links, sockets. See ik_rtnl.h. */
#include "ik_rtnl.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <linux/version.h>
#include <string.h>
#include <sys/socket.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 18, 0)
_Static_assert(IFA_PROTO == 11, "IFA_PROTO");
#endif
enum { PROTOCOL = 11 /* IFA_PROTO, which older headers lack */ };

_Static_assert(IK_RTNL_SECONDARY == IFA_F_SECONDARY, "IFA_F_SECONDARY");
_Static_assert(IK_RTNL_NO_DAD == IFA_F_NODAD, "IFA_F_NODAD");
_Static_assert(IK_RTNL_NO_PREFIX_ROUTE == IFA_F_NOPREFIXROUTE, "IFA_F_NOPREFIXROUTE");

/* Bytes that an address of the family has; 0 for families that we do not know. */
static size_t width_of(uint8_t family) { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

static void put_header(struct ik_writer *writer, const struct ik_rtnl_address *record)
{
    struct ifaddrmsg header = {
        .ifa_family = record->family, .ifa_prefixlen = record->prefix, .ifa_scope = record->scope, .ifa_index = record->index};
    uint8_t *room = ik_put_room(writer, sizeof(header));

    if (room != NULL) {
        memcpy(room, &header, sizeof(header));
    }
}

/* What only a new address has, where it is not what the kernel would take anyway. */
static void put_options(struct ik_writer *writer, const struct ik_rtnl_address *record)
{
    static const uint8_t none[4];
    uint32_t flags = record->flags | (record->family == AF_INET6 ? (uint32_t)IFA_F_NODAD : 0);
    size_t label = strnlen(record->label, IK_RTNL_NAME - 1);

    if (flags != 0) {
        ik_put_attr(writer, IFA_FLAGS, &flags, sizeof(flags));
    }
    if (record->family == AF_INET && memcmp(record->broadcast, none, sizeof(none)) != 0) {
        ik_put_attr(writer, IFA_BROADCAST, record->broadcast, sizeof(record->broadcast));
    }
    if (record->family == AF_INET && label > 0) {
        char text[IK_RTNL_NAME] = {0};
        memcpy(text, record->label, label);
        ik_put_attr(writer, IFA_LABEL, text, label + 1);
    }
    if (record->valid != 0) {
        struct ifa_cacheinfo times = {.ifa_prefered = record->preferred, .ifa_valid = record->valid};
        ik_put_attr(writer, IFA_CACHEINFO, &times, sizeof(times));
    }
    if (record->metric != 0) {
        ik_put_attr(writer, IFA_RT_PRIORITY, &record->metric, sizeof(record->metric));
    }
    if (record->protocol != 0) {
        ik_put_attr(writer, PROTOCOL, &record->protocol, sizeof(record->protocol));
    }
}

static void put_address(struct ik_writer *writer, int command, const struct ik_rtnl_address *record, uint32_t sequence)
{
    bool is_new = command == IK_RTNL_NEW_ADDRESS;
    uint16_t flags = (uint16_t)(NLM_F_REQUEST | (is_new ? NLM_F_CREATE | NLM_F_EXCL : 0));
    size_t start = ik_message_begin(writer, is_new ? RTM_NEWADDR : RTM_DELADDR, flags, sequence);
    size_t width = width_of(record->family);

    put_header(writer, record);
    ik_put_attr(writer, IFA_LOCAL, record->local, width);
    ik_put_attr(writer, IFA_ADDRESS, record->peer, width);
    if (is_new) {
        put_options(writer, record);
    }
    ik_message_end(writer, start);
}

long ik_rtnl_encode_addresses(int command, const struct ik_rtnl_address *records, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                              size_t *used)
{
    struct ik_writer writer;
    size_t done = 0;

    ik_writer_init(&writer, out, room);
    *used = 0;
    if (command != IK_RTNL_NEW_ADDRESS && command != IK_RTNL_DELETE_ADDRESS) {
        return -EINVAL;
    }
    for (; done < count; done++) {
        if (width_of(records[done].family) == 0) {
            return -EINVAL;
        }
        put_address(&writer, command, &records[done], sequence + (uint32_t)done);
        if (writer.overflow) {
            break;
        }
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}

static int take_bytes(const struct ik_attr *attr, void *field, size_t size)
{
    if (attr->payload.left != size) {
        return -EBADMSG;
    }
    memcpy(field, attr->payload.data, size);
    return 0;
}

static int take_label(const struct ik_attr *attr, char *field)
{
    if (attr->payload.left > IK_RTNL_NAME || memchr(attr->payload.data, 0, attr->payload.left) == NULL) {
        return -EBADMSG;
    }
    memcpy(field, attr->payload.data, strnlen((const char *)attr->payload.data, attr->payload.left));
    return 0;
}

static int take_times(const struct ik_attr *attr, struct ik_rtnl_address *row)
{
    struct ifa_cacheinfo times;
    int result = take_bytes(attr, &times, sizeof(times));

    if (result == 0) {
        row->valid = times.ifa_valid;
        row->preferred = times.ifa_prefered;
    }
    return result;
}

static int take_attr(const struct ik_attr *attr, struct ik_rtnl_address *row)
{
    switch (attr->type) {
    case IFA_LOCAL:
        return take_bytes(attr, row->local, width_of(row->family));
    case IFA_ADDRESS:
        return take_bytes(attr, row->peer, width_of(row->family));
    case IFA_FLAGS:
        return take_bytes(attr, &row->flags, sizeof(row->flags));
    case IFA_BROADCAST:
        return row->family == AF_INET ? take_bytes(attr, row->broadcast, sizeof(row->broadcast)) : 0;
    case IFA_LABEL:
        return take_label(attr, row->label);
    case IFA_CACHEINFO:
        return take_times(attr, row);
    case IFA_RT_PRIORITY:
        return take_bytes(attr, &row->metric, sizeof(row->metric));
    case PROTOCOL:
        return take_bytes(attr, &row->protocol, sizeof(row->protocol));
    default:
        return 0;
    }
}

/* 1: an address; 0: of a family that does not count; -EBADMSG. */
static int parse_address(struct ik_reader payload, struct ik_rtnl_address *row)
{
    struct ifaddrmsg header;
    struct ik_attr attr;
    uint32_t seen = 0;
    int more;

    if (payload.left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, payload.data, sizeof(header));
    if (width_of(header.ifa_family) == 0) {
        return 0;
    }
    *row = (struct ik_rtnl_address){.index = header.ifa_index,
                                    .flags = header.ifa_flags,
                                    .family = header.ifa_family,
                                    .prefix = header.ifa_prefixlen,
                                    .scope = header.ifa_scope};
    (void)ik_skip(&payload, ik_align(sizeof(header)));
    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = take_attr(&attr, row);
        if (result < 0) {
            return result;
        }
        seen |= attr.type < 32 ? UINT32_C(1) << attr.type : 0;
    }
    bool local = seen & UINT32_C(1) << IFA_LOCAL, address = seen & UINT32_C(1) << IFA_ADDRESS;
    if (more < 0 || row->index == 0 || row->prefix > 8 * width_of(row->family) || (!local && !address)) {
        return -EBADMSG;
    }
    if (!local || !address) {
        memcpy(local ? row->peer : row->local, local ? row->local : row->peer, sizeof(row->local));
    }
    return 1;
}

long ik_rtnl_parse_addresses(const uint8_t *data, size_t length, uint32_t index, struct ik_rtnl_address *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_rtnl_address row;
    struct ik_message message;
    long found = 0;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        if (message.type != RTM_NEWADDR) {
            continue;
        }
        int result = parse_address(message.payload, &row);
        if (result < 0) {
            return result;
        }
        if (result == 0 || (index != 0 && row.index != index)) {
            continue;
        }
        if ((size_t)found < room) {
            out[found] = row;
        }
        found++;
    }
    return more < 0 ? more : found;
}
