/* Knows: how the kernel lists tracked flows. Must not know: requests, sockets. See ik_conntrack.h. */
#include "ik_conntrack_wire.h"
#include "ik_socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

struct ik_conntrack_listing {
    struct ik_conntrack_flow *flows;
    size_t count;
    size_t capacity;
    uint8_t family;
    uint8_t protocol;
    struct ik_answer refusal;
};

/* What one direction must have. */
enum seen { SOURCE = 1, DESTINATION = 2, NUMBER = 4, SOURCE_PORT = 8, DESTINATION_PORT = 16, EVERY_PORT = SOURCE_PORT | DESTINATION_PORT };

struct direction {
    struct ik_conntrack_tuple *tuple;
    uint8_t family;
    uint8_t protocol;
    uint16_t zone;
    unsigned seen;
};

struct ik_conntrack_listing *ik_conntrack_listing_new(uint8_t family, uint8_t protocol)
{
    struct ik_conntrack_listing *listing = calloc(1, sizeof(*listing));

    if (listing != NULL) {
        listing->family = family;
        listing->protocol = protocol;
    }
    return listing;
}

void ik_conntrack_listing_free(struct ik_conntrack_listing *listing)
{
    if (listing != NULL) {
        free(listing->flows);
        free(listing);
    }
}

size_t ik_conntrack_listing_count(const struct ik_conntrack_listing *listing) { return listing->count; }

const struct ik_conntrack_flow *ik_conntrack_listing_flows(const struct ik_conntrack_listing *listing) { return listing->flows; }

int32_t ik_conntrack_listing_error(const struct ik_conntrack_listing *listing) { return listing->refusal.error; }

const char *ik_conntrack_listing_text(const struct ik_conntrack_listing *listing) { return listing->refusal.text; }

static int take_be16(const struct ik_attr *attr, uint16_t *field)
{
    if (attr->payload.left != sizeof(*field)) {
        return -EBADMSG;
    }
    memcpy(field, attr->payload.data, sizeof(*field));
    *field = ntohs(*field);
    return 0;
}

static int take_be32(const struct ik_attr *attr, uint32_t *field)
{
    if (attr->payload.left != sizeof(*field)) {
        return -EBADMSG;
    }
    memcpy(field, attr->payload.data, sizeof(*field));
    *field = ntohl(*field);
    return 0;
}

static int take_addresses(struct ik_reader payload, struct direction *out)
{
    const size_t width = ik_ct_width(out->family);
    const uint16_t source = out->family == AF_INET ? CTA_IP_V4_SRC : CTA_IP_V6_SRC;
    const uint16_t destination = out->family == AF_INET ? CTA_IP_V4_DST : CTA_IP_V6_DST;
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        if (attr.type != source && attr.type != destination) {
            continue;
        }
        if (attr.payload.left != width) {
            return -EBADMSG;
        }
        memcpy(attr.type == source ? out->tuple->source : out->tuple->destination, attr.payload.data, width);
        out->seen |= attr.type == source ? SOURCE : DESTINATION;
    }
    return more;
}

static int take_protocol(struct ik_reader payload, struct direction *out)
{
    struct ik_attr attr;
    int more, result = 0;

    while (result == 0 && (more = ik_next_attr(&payload, &attr)) != 0) {
        if (more < 0) {
            return more;
        }
        switch (attr.type) {
        case CTA_PROTO_NUM:
            result = attr.payload.left == sizeof(out->protocol) ? 0 : -EBADMSG;
            if (result == 0) {
                out->protocol = attr.payload.data[0];
            }
            out->seen |= NUMBER;
            break;
        case CTA_PROTO_SRC_PORT:
            result = take_be16(&attr, &out->tuple->source_port);
            out->seen |= SOURCE_PORT;
            break;
        case CTA_PROTO_DST_PORT:
            result = take_be16(&attr, &out->tuple->destination_port);
            out->seen |= DESTINATION_PORT;
            break;
        default:
            break;
        }
    }
    return result;
}

static int take_direction(struct ik_reader payload, struct direction *out)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = 0;
        if (attr.type == CTA_TUPLE_IP) {
            result = take_addresses(attr.payload, out);
        } else if (attr.type == CTA_TUPLE_PROTO) {
            result = take_protocol(attr.payload, out);
        } else if (attr.type == IK_CTA_TUPLE_ZONE) {
            result = take_be16(&attr, &out->zone);
        }
        if (result < 0) {
            return result;
        }
    }
    return more;
}

static bool is_whole(const struct direction *one)
{
    const unsigned wanted = SOURCE | DESTINATION | NUMBER | (ik_ct_has_ports(one->protocol) ? EVERY_PORT : 0);

    return (one->seen & wanted) == wanted;
}

static int take_attributes(struct ik_reader payload, struct ik_conntrack_flow *flow, struct direction *original, struct direction *reply)
{
    uint16_t zone = 0;
    struct ik_attr attr;
    int more, result = 0;

    while (result == 0 && (more = ik_next_attr(&payload, &attr)) != 0) {
        if (more < 0) {
            return more;
        }
        switch (attr.type) {
        case CTA_TUPLE_ORIG:
            result = take_direction(attr.payload, original);
            break;
        case CTA_TUPLE_REPLY:
            result = take_direction(attr.payload, reply);
            break;
        case CTA_STATUS:
            result = take_be32(&attr, &flow->status);
            break;
        case CTA_MARK:
            result = take_be32(&attr, &flow->mark);
            break;
        case CTA_ID:
            result = take_be32(&attr, &flow->id);
            break;
        case CTA_ZONE:
            result = take_be16(&attr, &zone);
            break;
        default:
            break;
        }
    }
    /* The zone of both directions, or one that a direction has for itself. */
    flow->zone = zone != 0 ? zone : original->zone;
    flow->reply_zone = zone != 0 ? zone : reply->zone;
    return result;
}

/* 1: a flow; 0: of a family or protocol that does not count; -EBADMSG. */
static int parse_flow(const struct ik_conntrack_listing *listing, struct ik_reader payload, struct ik_conntrack_flow *flow)
{
    struct nfgenmsg header;

    if (payload.left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, payload.data, sizeof(header));
    if (ik_ct_width(header.nfgen_family) == 0 || (listing->family != 0 && listing->family != header.nfgen_family)) {
        return 0;
    }
    *flow = (struct ik_conntrack_flow){.family = header.nfgen_family};
    struct direction original = {.tuple = &flow->original, .family = flow->family};
    struct direction reply = {.tuple = &flow->reply, .family = flow->family};
    (void)ik_skip(&payload, ik_align(sizeof(header)));
    int result = take_attributes(payload, flow, &original, &reply);
    if (result < 0 || !is_whole(&original) || !is_whole(&reply) || original.protocol != reply.protocol) {
        return -EBADMSG;
    }
    flow->protocol = original.protocol;
    return listing->protocol == 0 || listing->protocol == flow->protocol;
}

static int add_flow(struct ik_conntrack_listing *listing, const struct ik_conntrack_flow *flow)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? FIRST_CAPACITY : listing->capacity * 2;
        struct ik_conntrack_flow *flows = realloc(listing->flows, capacity * sizeof(*flows));
        if (flows == NULL) {
            return -ENOMEM;
        }
        listing->flows = flows;
        listing->capacity = capacity;
    }
    listing->flows[listing->count++] = *flow;
    return 0;
}

static int take_end(struct ik_conntrack_listing *listing, const struct ik_message *message)
{
    struct ik_answer answer = {0};
    const uint8_t *start = message->payload.data - IK_MESSAGE_HEADER;
    long found = ik_parse_answers(start, message->payload.left + IK_MESSAGE_HEADER, 0, &answer, 1);

    if (found < 0) {
        return (int)found;
    }
    if (listing->refusal.error == 0) {
        listing->refusal = answer;
    }
    return 0;
}

int ik_conntrack_listing_feed(struct ik_conntrack_listing *listing, const uint8_t *data, size_t length)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_conntrack_flow flow;
    struct ik_message message;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        int result = 0;
        if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
            result = take_end(listing, &message);
        } else if (message.type == ik_ct_message(IPCTNL_MSG_CT_NEW)) {
            result = parse_flow(listing, message.payload, &flow);
            result = result > 0 ? add_flow(listing, &flow) : result;
        }
        if (result < 0) {
            return result;
        }
    }
    return more;
}

static int sink(void *listing, const uint8_t *message, size_t length) { return ik_conntrack_listing_feed(listing, message, length); }

void ik_conntrack_listing_receive(struct ik_conntrack_listing *listing, struct ik_reply *reply) { ik_reply_into(reply, sink, listing); }
