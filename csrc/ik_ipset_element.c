/* One element as the kernel lists it.
 *
 * Knows: the attributes of elements. Must not know: which of them a type has. See ik_ipset_wire.h.
 */
#include "ik_ipset_wire.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

static uint32_t take_u32(const struct ik_attr *attr)
{
    uint32_t value;

    memcpy(&value, attr->payload.data, sizeof(value));
    return attr->network_order ? ntohl(value) : value;
}

static uint64_t take_u64(const struct ik_attr *attr)
{
    uint64_t value;

    memcpy(&value, attr->payload.data, sizeof(value));
    return attr->network_order ? be64toh(value) : value;
}

static inline int take_place(struct ik_reader nest, uint8_t *address)
{
    struct ik_attr inner;

    if (ik_quick_attr(&nest, &inner) <= 0) {
        return -EBADMSG;
    }
    if (inner.payload.left == 4) {
        memcpy(address, inner.payload.data, 4);
        return 0;
    }
    if (inner.payload.left != 16) {
        return -EBADMSG;
    }
    memcpy(address, inner.payload.data, 16);
    return 0;
}

static int take_text(const struct ik_attr *attr, char *out, size_t size)
{
    size_t length = strnlen((const char *)attr->payload.data, attr->payload.left);

    if (length == attr->payload.left || length >= size) {
        return -EBADMSG;
    }
    memcpy(out, attr->payload.data, length);
    memset(out + length, 0, size - length);
    return 0;
}

/* How long the numbers are; 0: looked at by who takes them. */
static const uint8_t lengths[] = {
    [IK_D_CIDR] = 1,  [IK_D_PORT] = 2,  [IK_D_PORT_TO] = 2, [IK_D_TIMEOUT] = 4, [IK_D_PROTO] = 1,   [IK_D_CADT_FLAGS] = 4, [IK_D_MARK] = 4,
    [IK_D_ETHER] = 6, [IK_D_CIDR2] = 1, [IK_D_BYTES] = 8,   [IK_D_PACKETS] = 8, [IK_D_SKBMARK] = 8, [IK_D_SKBPRIO] = 4,    [IK_D_SKBQUEUE] = 2,
};

static void take_flags(uint32_t flags, struct ik_element *out)
{
    out->physdev = (flags & IK_F_PHYSDEV) != 0;
    out->present |= (flags & IK_F_NOMATCH ? IK_HAS_NOMATCH : 0) | (flags & IK_F_WILDCARD ? IK_HAS_WILDCARD : 0);
}

static void take_skbmark(uint64_t value, struct ik_element *out)
{
    out->skbmark = (uint32_t)(value >> 32);
    out->skbmask = (uint32_t)value;
    out->present |= IK_HAS_SKBMARK;
}

static int take_comment(const struct ik_attr *attr, struct ik_element *out)
{
    size_t length = strnlen((const char *)attr->payload.data, attr->payload.left);

    if (length > IK_COMMENT) {
        return -EBADMSG;
    }
    out->comment = (const char *)attr->payload.data;
    out->comment_length = (uint32_t)length;
    out->present |= IK_HAS_COMMENT;
    return 0;
}

/* Those that every element of a plain set lacks. */
static int take_option(const struct ik_attr *attr, struct ik_element *out)
{
    uint16_t narrow;

    switch (attr->type) {
    case IK_D_TIMEOUT:
        out->timeout = take_u32(attr);
        out->present |= IK_HAS_TIMEOUT;
        return 0;
    case IK_D_PACKETS:
        out->packets = take_u64(attr);
        out->present |= IK_HAS_PACKETS;
        return 0;
    case IK_D_BYTES:
        out->bytes = take_u64(attr);
        out->present |= IK_HAS_BYTES;
        return 0;
    case IK_D_COMMENT:
        return take_comment(attr, out);
    case IK_D_SKBMARK:
        take_skbmark(take_u64(attr), out);
        return 0;
    case IK_D_SKBPRIO:
        out->skbprio = take_u32(attr);
        out->present |= IK_HAS_SKBPRIO;
        return 0;
    case IK_D_SKBQUEUE:
        memcpy(&narrow, attr->payload.data, sizeof(narrow));
        out->skbqueue = attr->network_order ? ntohs(narrow) : narrow;
        out->present |= IK_HAS_SKBQUEUE;
        return 0;
    case IK_D_CADT_FLAGS:
        take_flags(take_u32(attr), out);
        return 0;
    default:
        return 0; /* tomorrow's kernel may say more */
    }
}

static inline int take(const struct ik_attr *attr, struct ik_element *out)
{
    if (attr->type < sizeof(lengths) && lengths[attr->type] != 0 && attr->payload.left != lengths[attr->type]) {
        return -EBADMSG;
    }
    switch (attr->type) {
    case IK_D_IP:
        return take_place(attr->payload, out->address[0]);
    case IK_D_IP2:
        return take_place(attr->payload, out->address[1]);
    case IK_D_CIDR:
        out->prefix[0] = attr->payload.data[0];
        return 0;
    case IK_D_CIDR2:
        out->prefix[1] = attr->payload.data[0];
        return 0;
    case IK_D_PORT:
        memcpy(out->port, attr->payload.data, sizeof(out->port));
        return 0;
    case IK_D_PROTO:
        out->protocol = attr->payload.data[0];
        return 0;
    case IK_D_MARK:
        out->mark = take_u32(attr);
        return 0;
    case IK_D_ETHER:
        memcpy(out->mac, attr->payload.data, sizeof(out->mac));
        out->present |= IK_HAS_MAC;
        return 0;
    case IK_D_NAME:
        return take_text(attr, out->name, IK_NAME);
    case IK_D_IFACE:
        return take_text(attr, out->name, IK_INTERFACE);
    default:
        return take_option(attr, out);
    }
}

int ik_ipset_decode_element(struct ik_reader payload, struct ik_element *out)
{
    struct ik_attr attr;
    int more;

    memset(out, 0, sizeof(*out));
    while ((more = ik_quick_attr(&payload, &attr)) > 0) {
        int result = take(&attr, out);
        if (result < 0) {
            return result;
        }
    }
    return more;
}
