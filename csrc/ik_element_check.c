/* Knows: what the kernel refuses in an element, and what of it it does not list. Must not know: ranges, text. See ik_element_private.h. */
#include "ik_element_private.h"

#include <netinet/in.h>

static bool all_zero(const uint8_t *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (bytes[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool fits_name(const char *name, size_t room)
{
    size_t length = strnlen(name, IK_NAME);

    return length > 0 && length < room;
}

static enum ik_fault_code check_net(const struct ik_shape *shape, const struct ik_element *element, unsigned slot)
{
    unsigned prefix = element->prefix[slot];

    if (element->present & (slot == 0 ? IK_HAS_LAST : IK_HAS_LAST2)) {
        return IK_FAULT_NONE; /* its prefix is not looked at */
    }
    if (prefix > ik_width(shape) * 8 || (prefix == 0 && (shape->flags & IK_SHAPE_ZERO_PREFIX) == 0)) {
        return IK_FAULT_PREFIX;
    }
    return IK_FAULT_NONE;
}

/* The kernel keeps no port where there is none, nor ICMP of the other family. */
static enum ik_fault_code check_port(const struct ik_shape *shape, struct ik_element *element)
{
    uint8_t icmp = shape->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;

    if (element->protocol == 0) {
        return IK_FAULT_PROTOCOL;
    }
    if (!ik_protocol_has_ports(element->protocol)) {
        element->present &= ~(uint32_t)IK_HAS_LAST_PORT;
        if (element->protocol != icmp) {
            memset(element->port, 0, sizeof(element->port));
        }
    }
    return IK_FAULT_NONE;
}

static enum ik_fault_code check_mac(const struct ik_shape *shape, const struct ik_element *element)
{
    if ((shape->flags & IK_SHAPE_MAC_IS_VALUE) == 0 && all_zero(element->mac, sizeof(element->mac))) {
        return IK_FAULT_NULL;
    }
    return IK_FAULT_NONE;
}

static enum ik_fault_code check_part(const struct ik_shape *shape, struct ik_element *element, uint8_t part, unsigned *slot)
{
    switch (part) {
    case IK_PART_ADDRESS:
        (*slot)++;
        return IK_FAULT_NONE;
    case IK_PART_NET:
        return check_net(shape, element, (*slot)++ & 1);
    case IK_PART_PORT:
        return check_port(shape, element);
    case IK_PART_MARK:
        element->mark &= shape->markmask != 0 ? shape->markmask : UINT32_MAX;
        return IK_FAULT_NONE;
    case IK_PART_MAC:
        return check_mac(shape, element);
    case IK_PART_INTERFACE:
        return fits_name(element->name, IK_INTERFACE) || (element->physdev && element->name[0] == 0) ? IK_FAULT_NONE : IK_FAULT_INTERFACE;
    case IK_PART_SET:
        return fits_name(element->name, IK_NAME) ? IK_FAULT_NONE : IK_FAULT_SET_NAME;
    default:
        return IK_FAULT_NONE;
    }
}

static enum ik_fault_code check_parts(const struct ik_shape *shape, struct ik_element *element)
{
    unsigned slot = 0;

    for (int i = 0; i < IK_PARTS && shape->parts[i] != IK_PART_NONE; i++) {
        enum ik_fault_code code = check_part(shape, element, shape->parts[i], &slot);
        if (code != IK_FAULT_NONE) {
            return code;
        }
    }
    return IK_FAULT_NONE;
}

static enum ik_fault_code check_comment(const struct ik_element *element)
{
    if (element->comment_length > IK_COMMENT ||
        (element->comment_length > 0 && memchr(element->comment, 0, element->comment_length) != NULL)) {
        return IK_FAULT_COMMENT;
    }
    return IK_FAULT_NONE;
}

static enum ik_fault_code check_reference(struct ik_element *element)
{
    const uint32_t both = IK_HAS_BEFORE | IK_HAS_AFTER;

    if ((element->present & both) == both) {
        return IK_FAULT_TWICE;
    }
    return fits_name(element->reference, IK_NAME) ? IK_FAULT_NONE : IK_FAULT_REFERENCE;
}

static enum ik_fault_code check_options(const struct ik_shape *shape, struct ik_element *element)
{
    uint32_t present = element->present;
    uint32_t possible = shape->options | IK_HAS_RANGE | (shape->flags & IK_SHAPE_MAC_IS_VALUE ? IK_HAS_MAC : 0);

    if (present & ~possible) {
        return IK_FAULT_NOT_OPTION;
    }
    if ((present & IK_HAS_TIMEOUT) != 0 && element->timeout > IK_TIMEOUT_MAX) {
        return IK_FAULT_TIMEOUT;
    }
    /* The kernel takes the largest number for none. */
    if (((present & IK_HAS_PACKETS) != 0 && element->packets == UINT64_MAX) || ((present & IK_HAS_BYTES) != 0 && element->bytes == UINT64_MAX)) {
        return IK_FAULT_COUNTER;
    }
    if ((present & IK_HAS_COMMENT) != 0 && check_comment(element) != IK_FAULT_NONE) {
        return IK_FAULT_COMMENT;
    }
    return present & (IK_HAS_BEFORE | IK_HAS_AFTER) ? check_reference(element) : IK_FAULT_NONE;
}

/* What was not given but is listed. */
static void complete(const struct ik_shape *shape, struct ik_element *element)
{
    if ((shape->flags & IK_SHAPE_TIMEOUT) != 0 && (element->present & IK_HAS_TIMEOUT) == 0) {
        element->present |= IK_HAS_TIMEOUT;
        element->timeout = shape->timeout;
    }
    if (shape->flags & IK_SHAPE_COUNTERS) {
        element->present |= shape->options & (IK_HAS_PACKETS | IK_HAS_BYTES);
    }
}

/* What was given and is not listed, and leavings in the fields of what was not given: elements are compared by their fields. */
static void clean(const struct ik_shape *shape, struct ik_element *element)
{
    uint32_t present = element->present & ~(uint32_t)(IK_HAS_BEFORE | IK_HAS_AFTER);

    element->packets = present & IK_HAS_PACKETS ? element->packets : 0;
    element->bytes = present & IK_HAS_BYTES ? element->bytes : 0;
    element->timeout = present & IK_HAS_TIMEOUT ? element->timeout : 0;
    element->comment_length = present & IK_HAS_COMMENT ? element->comment_length : 0;
    element->skbmark = present & IK_HAS_SKBMARK ? element->skbmark : 0;
    element->skbmask = present & IK_HAS_SKBMARK ? element->skbmask : 0;
    element->skbprio = present & IK_HAS_SKBPRIO ? element->skbprio : 0;
    element->skbqueue = present & IK_HAS_SKBQUEUE ? element->skbqueue : 0;
    memset(element->reference, 0, sizeof(element->reference));
    if ((present & IK_HAS_MAC) == 0 && (shape->flags & IK_SHAPE_MAC_IS_VALUE) != 0) {
        memset(element->mac, 0, sizeof(element->mac));
    }
    if (element->comment_length == 0) {
        element->comment = NULL;
        present &= ~(uint32_t)IK_HAS_COMMENT;
    }
    present &= element->skbmark == 0 && element->skbmask == 0 ? ~(uint32_t)IK_HAS_SKBMARK : UINT32_MAX;
    present &= element->skbprio == 0 ? ~(uint32_t)IK_HAS_SKBPRIO : UINT32_MAX;
    present &= element->skbqueue == 0 ? ~(uint32_t)IK_HAS_SKBQUEUE : UINT32_MAX;
    element->present = present;
}

enum ik_fault_code ik_check_element(const struct ik_shape *shape, struct ik_element *element)
{
    enum ik_fault_code code = check_parts(shape, element);

    if (code == IK_FAULT_NONE) {
        code = check_options(shape, element);
    }
    if (code != IK_FAULT_NONE) {
        return code;
    }
    clean(shape, element);
    complete(shape, element);
    return IK_FAULT_NONE;
}
