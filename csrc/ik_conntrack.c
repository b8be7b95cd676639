/* Knows: requests about tracked flows as ctnetlink messages. Must not know: answers, sockets. See ik_conntrack.h. */
#include "ik_conntrack.h"

#include "ik_conntrack_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

static size_t begin(struct ik_writer *writer, int command, uint16_t flags, uint32_t sequence, uint8_t family)
{
    size_t start = ik_message_begin(writer, ik_ct_message(command), (uint16_t)(NLM_F_REQUEST | flags), sequence);
    struct nfgenmsg header = {.nfgen_family = family, .version = NFNETLINK_V0};
    uint8_t *room = ik_put_room(writer, sizeof(header));

    if (room != NULL) {
        memcpy(room, &header, sizeof(header));
    }
    return start;
}

static void put_be16(struct ik_writer *writer, uint16_t type, uint16_t value)
{
    uint16_t turned = htons(value);

    ik_put_attr(writer, type, &turned, sizeof(turned));
}

/* To be asked with a filter, the kernel wants a family. */
static void put_filter(struct ik_writer *writer, uint8_t protocol)
{
    uint32_t flags = IK_CT_FILTER_PROTOCOL;
    size_t tuple = ik_nest_begin(writer, CTA_TUPLE_ORIG);
    size_t inner = ik_nest_begin(writer, CTA_TUPLE_PROTO);

    ik_put_attr(writer, CTA_PROTO_NUM, &protocol, sizeof(protocol));
    ik_nest_end(writer, inner);
    ik_nest_end(writer, tuple);
    size_t filter = ik_nest_begin(writer, IK_CTA_FILTER);
    ik_put_attr(writer, IK_CTA_FILTER_ORIG_FLAGS, &flags, sizeof(flags));
    ik_nest_end(writer, filter);
}

long ik_conntrack_encode_dump(uint8_t family, uint8_t protocol, uint32_t sequence, uint8_t *out, size_t room)
{
    struct ik_writer writer;

    if (family != 0 && ik_ct_width(family) == 0) {
        return -EINVAL;
    }
    ik_writer_init(&writer, out, room);
    size_t start = begin(&writer, IPCTNL_MSG_CT_GET, NLM_F_DUMP, sequence, family);
    if (family != 0 && protocol != 0) {
        put_filter(&writer, protocol);
    }
    ik_message_end(&writer, start);
    return writer.overflow ? -ENOSPC : (long)writer.length;
}

static void put_tuple(struct ik_writer *writer, uint16_t type, const struct ik_conntrack_flow *flow, const struct ik_conntrack_tuple *tuple)
{
    size_t width = ik_ct_width(flow->family);
    bool v4 = flow->family == AF_INET;
    size_t nest = ik_nest_begin(writer, type);

    size_t inner = ik_nest_begin(writer, CTA_TUPLE_IP);
    ik_put_attr(writer, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple->source, width);
    ik_put_attr(writer, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple->destination, width);
    ik_nest_end(writer, inner);
    inner = ik_nest_begin(writer, CTA_TUPLE_PROTO);
    ik_put_attr(writer, CTA_PROTO_NUM, &flow->protocol, sizeof(flow->protocol));
    if (ik_ct_has_ports(flow->protocol)) {
        put_be16(writer, CTA_PROTO_SRC_PORT, tuple->source_port);
        put_be16(writer, CTA_PROTO_DST_PORT, tuple->destination_port);
    }
    ik_nest_end(writer, inner);
    ik_nest_end(writer, nest);
}

static void put_delete(struct ik_writer *writer, const struct ik_conntrack_flow *flow, uint32_t sequence)
{
    size_t start = begin(writer, IPCTNL_MSG_CT_DELETE, 0, sequence, flow->family);

    put_tuple(writer, CTA_TUPLE_REPLY, flow, &flow->reply);
    if (flow->reply_zone != 0) {
        put_be16(writer, CTA_ZONE, flow->reply_zone);
    }
    if (flow->id != 0) {
        uint32_t id = htonl(flow->id);
        ik_put_attr(writer, CTA_ID, &id, sizeof(id));
    }
    ik_message_end(writer, start);
}

long ik_conntrack_encode_deletes(const struct ik_conntrack_flow *flows, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                                 size_t *used)
{
    struct ik_writer writer;
    size_t done = 0;

    ik_writer_init(&writer, out, room);
    *used = 0;
    for (; done < count; done++) {
        if (ik_ct_width(flows[done].family) == 0) {
            return -EINVAL;
        }
        put_delete(&writer, &flows[done], sequence + (uint32_t)done);
        if (writer.overflow) {
            break;
        }
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}
