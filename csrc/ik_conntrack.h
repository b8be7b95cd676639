/* Tracked flows over ctnetlink: to list those of a protocol, and to delete some.
 *
 * Knows: the attributes of flows that we use. Must not know: sockets, Python, which flows anybody wants.
 *
 * A flow is deleted by its reply direction and its number. The number alone does not tell it from one that has taken its place: kernels make it from
 * the flow's place in memory and its original direction, and a flow that is made again at once gets both. Addresses of four bytes stand at the
 * beginning of their sixteen.
 */
#ifndef IK_CONNTRACK_H
#define IK_CONNTRACK_H

#include "ik_buf.h"

struct ik_reply;

/* The order of the fields puts the source, and the destination, each with its port, into bytes that follow one another. */
struct ik_conntrack_tuple {
    uint8_t source[16];
    uint16_t source_port; /* host order; 0 for protocols without ports */
    uint16_t destination_port;
    uint8_t destination[16];
};

struct ik_conntrack_flow {
    uint32_t id; /* 0 in a request: whatever number it has */
    uint32_t mark;
    uint32_t status; /* IPS_* */
    uint16_t zone;   /* of the original direction */
    uint16_t reply_zone;
    uint8_t family; /* AF_INET, AF_INET6 */
    uint8_t protocol;
    uint16_t reserved;
    struct ik_conntrack_tuple original;
    struct ik_conntrack_tuple reply;
};

/* The question for the flows of a family, or of both (0), and of a protocol, or of all (0): its length, -EINVAL or -ENOSPC. Kernels before 5.8 answer
 * with all protocols, and so does every kernel that is asked for both families. */
long ik_conntrack_encode_dump(uint8_t family, uint8_t protocol, uint32_t sequence, uint8_t *out, size_t room);

/* As many messages as fit, numbered from `sequence`: how many, and their bytes in *used. -EINVAL: of no family that we know; -ENOSPC: not even one
 * fits. No message asks for an acknowledgement. */
long ik_conntrack_encode_deletes(const struct ik_conntrack_flow *flows, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                                 size_t *used);

/* What a dump brings of a family (0: both) and a protocol (0: all), as it arrives. */
struct ik_conntrack_listing;

/* NULL when there is no memory. */
struct ik_conntrack_listing *ik_conntrack_listing_new(uint8_t family, uint8_t protocol);
void ik_conntrack_listing_free(struct ik_conntrack_listing *listing);
/* Whole messages: 0, -EBADMSG or -ENOMEM. */
int ik_conntrack_listing_feed(struct ik_conntrack_listing *listing, const uint8_t *data, size_t length);
/* From now on what this reply receives goes there. */
void ik_conntrack_listing_receive(struct ik_conntrack_listing *listing, struct ik_reply *reply);
size_t ik_conntrack_listing_count(const struct ik_conntrack_listing *listing);
/* They stay where they are until more is fed; NULL where there are none. */
const struct ik_conntrack_flow *ik_conntrack_listing_flows(const struct ik_conntrack_listing *listing);
/* Why the dump was refused (errno), 0 where it was not; and the kernel's words, "" where it has none. */
int32_t ik_conntrack_listing_error(const struct ik_conntrack_listing *listing);
const char *ik_conntrack_listing_text(const struct ik_conntrack_listing *listing);

#endif
