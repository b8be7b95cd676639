/* Knows: the order in which ipset(8) lists the parts and options of an element. Must not know: how they are read. See ik_element.h. */
#include "ik_element_private.h"

#include <netinet/in.h>

static char *put_place(char *at, const struct ik_shape *shape, const struct ik_element *element, unsigned slot, bool net)
{
    uint32_t ranged = slot == 0 ? IK_HAS_LAST : IK_HAS_LAST2;

    at = ik_put_address(at, element->address[slot], shape->family);
    if (element->present & ranged) {
        *at++ = '-';
        return ik_put_address(at, element->last[slot], shape->family);
    }
    if (net && element->prefix[slot] != ik_width(shape) * 8) {
        *at++ = '/';
        at = ik_put_decimal(at, element->prefix[slot]);
    }
    return at;
}

static char *put_ports(char *at, const struct ik_element *element)
{
    at = ik_put_decimal(at, ik_load16(element->port));
    if (element->present & IK_HAS_LAST_PORT) {
        *at++ = '-';
        at = ik_put_decimal(at, ik_load16(element->last_port));
    }
    return at;
}

static char *put_icmp(char *at, const struct ik_element *element)
{
    const char *name = ik_icmp_name(element->protocol == IPPROTO_ICMPV6, ik_load16(element->port));

    if (name != NULL) {
        return ik_put_text(at, name);
    }
    at = ik_put_decimal(at, element->port[0]);
    *at++ = '/';
    return ik_put_decimal(at, element->port[1]);
}

static char *put_protocol(char *at, uint8_t protocol)
{
    if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
        memcpy(at, protocol == IPPROTO_TCP ? "tcp" : "udp", 3);
        return at + 3;
    }
    const char *name = ik_protocol_name(protocol);
    return name != NULL ? ik_put_text(at, name) : ik_put_decimal(at, protocol);
}

static char *put_port(char *at, const struct ik_element *element)
{
    at = put_protocol(at, element->protocol);
    *at++ = ':';
    if (element->protocol == IPPROTO_ICMP || element->protocol == IPPROTO_ICMPV6) {
        return put_icmp(at, element);
    }
    return put_ports(at, element);
}

static char *put_mark(char *at, uint32_t mark)
{
    *at++ = '0';
    *at++ = 'x';
    for (int shift = 28; shift >= 0; shift -= 4) {
        *at++ = "0123456789abcdef"[mark >> shift & 15];
    }
    return at;
}

static char *put_name(char *at, const char *name, size_t most)
{
    size_t length = strnlen(name, most);

    memcpy(at, name, length);
    return at + length;
}

static char *put_part(char *at, const struct ik_shape *shape, const struct ik_element *element, uint8_t part, unsigned *slot)
{
    switch (part) {
    case IK_PART_ADDRESS:
    case IK_PART_NET:
        return put_place(at, shape, element, (*slot)++ & 1, part == IK_PART_NET);
    case IK_PART_PORT:
        return put_port(at, element);
    case IK_PART_NUMBER:
        return put_ports(at, element);
    case IK_PART_MARK:
        return put_mark(at, element->mark);
    case IK_PART_MAC:
        return ik_put_mac(at, element->mac);
    case IK_PART_INTERFACE:
        at = element->physdev ? ik_put_text(at, "physdev:") : at;
        return put_name(at, element->name, IK_INTERFACE - 1);
    default:
        return put_name(at, element->name, IK_NAME - 1);
    }
}

static bool is_missing(const struct ik_shape *shape, const struct ik_element *element, uint8_t part)
{
    return part == IK_PART_MAC && (shape->flags & IK_SHAPE_MAC_IS_VALUE) != 0 && (element->present & IK_HAS_MAC) == 0;
}

static char *put_parts(char *at, const struct ik_shape *shape, const struct ik_element *element)
{
    unsigned slot = 0;

    for (int i = 0; i < IK_PARTS && shape->parts[i] != IK_PART_NONE; i++) {
        if (is_missing(shape, element, shape->parts[i])) {
            break;
        }
        if (i > 0) {
            *at++ = ',';
        }
        at = put_part(at, shape, element, shape->parts[i], &slot);
    }
    return at;
}

static char *put_number_option(char *at, const char *name, uint64_t value)
{
    return ik_put_decimal(ik_put_text(at, name), value);
}

static char *put_comment(char *at, const struct ik_element *element)
{
    at = ik_put_text(at, " comment \"");
    if (element->comment_length > 0) {
        memcpy(at, element->comment, element->comment_length);
        at += element->comment_length;
    }
    *at++ = '"';
    return at;
}

static char *put_skb(char *at, const struct ik_element *element)
{
    if (element->present & IK_HAS_SKBMARK) {
        at = ik_put_hex(ik_put_text(at, " skbmark 0x"), element->skbmark);
        if (element->skbmask != UINT32_MAX) {
            at = ik_put_hex(ik_put_text(at, "/0x"), element->skbmask);
        }
    }
    if (element->present & IK_HAS_SKBPRIO) {
        at = ik_put_hex(ik_put_text(at, " skbprio "), element->skbprio >> 16);
        *at++ = ':';
        at = ik_put_hex(at, element->skbprio & 0xffff);
    }
    if (element->present & IK_HAS_SKBQUEUE) {
        at = put_number_option(at, " skbqueue ", element->skbqueue);
    }
    return at;
}

/* `ipset save` never lists it. It comes first because a quote in the name would be taken for the end of a comment before it. */
static char *put_reference(char *at, const struct ik_element *element)
{
    if (element->present & (IK_HAS_BEFORE | IK_HAS_AFTER)) {
        at = ik_put_text(at, element->present & IK_HAS_BEFORE ? " before " : " after ");
        at = put_name(at, element->reference, IK_NAME - 1);
    }
    return at;
}

static char *put_options(char *at, const struct ik_element *element)
{
    at = put_reference(at, element);
    if (element->present & IK_HAS_TIMEOUT) {
        at = put_number_option(at, " timeout ", element->timeout);
    }
    if (element->present & IK_HAS_NOMATCH) {
        at = ik_put_text(at, " nomatch");
    }
    if (element->present & IK_HAS_WILDCARD) {
        at = ik_put_text(at, " wildcard");
    }
    if (element->present & IK_HAS_PACKETS) {
        at = put_number_option(at, " packets ", element->packets);
    }
    if (element->present & IK_HAS_BYTES) {
        at = put_number_option(at, " bytes ", element->bytes);
    }
    if (element->present & IK_HAS_COMMENT) {
        at = put_comment(at, element);
    }
    return put_skb(at, element);
}

static size_t format(const struct ik_shape *shape, const struct ik_element *element, char *out)
{
    char *at = put_parts(out, shape, element);

    if (element->present & ~((uint32_t)IK_HAS_RANGE | IK_HAS_MAC)) {
        at = put_options(at, element);
    }
    return (size_t)(at - out);
}

size_t ik_element_format(const struct ik_shape *shape, const struct ik_element *element, char *out, size_t room)
{
    char text[IK_ELEMENT_TEXT];

    if (element->comment_length > IK_COMMENT && (element->present & IK_HAS_COMMENT) != 0) {
        return 0;
    }
    if (room >= IK_ELEMENT_TEXT) {
        return format(shape, element, out);
    }
    size_t length = format(shape, element, text);
    if (length > room) {
        return 0;
    }
    memcpy(out, text, length);
    return length;
}
