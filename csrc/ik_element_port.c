/* Knows: the text forms of protocols and ports. Must not know: the other parts of an element. See ik_element_private.h. */
#include "ik_element_private.h"

#include <netinet/in.h>

bool ik_protocol_has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP || protocol == IPPROTO_UDPLITE;
}

/* [service-name], because of the dash; false: there is more behind it, or no end. */
static bool take_bracketed(struct ik_text *rest, struct ik_text *name)
{
    struct ik_text inner = {rest->at + 1, rest->length - 1};

    if (!ik_take_until(&inner, ']', name) || (inner.length > 0 && inner.at[0] != '-')) {
        return false;
    }
    *rest = inner;
    return true;
}

static bool read_one_port(struct ik_text *rest, uint8_t protocol, uint16_t *port)
{
    struct ik_text piece;
    uint64_t value;

    if (rest->length > 0 && rest->at[0] == '[') {
        int found = take_bracketed(rest, &piece) ? ik_service_port(piece.at, piece.length, protocol) : -1;
        *port = (uint16_t)found;
        return found >= 0;
    }
    piece.at = rest->at;
    for (piece.length = 0; piece.length < rest->length && rest->at[piece.length] != '-';) {
        piece.length++;
    }
    rest->at += piece.length;
    rest->length -= piece.length;
    if (ik_read_number(piece, 65535, &value)) {
        *port = (uint16_t)value;
        return true;
    }
    /* A number too large is no reason to read /etc/services. */
    int found = ik_read_number(piece, UINT64_MAX, &value) ? -1 : ik_service_port(piece.at, piece.length, protocol);
    *port = (uint16_t)found;
    return found >= 0;
}

/* port[-port] */
static int parse_ports(const struct ik_parser *parser, struct ik_text piece, uint8_t protocol)
{
    struct ik_element *out = parser->out;
    struct ik_text rest = piece;
    uint16_t first;
    uint16_t last;

    if (!read_one_port(&rest, protocol, &first)) {
        return ik_refuse(parser, piece, IK_FAULT_PORT);
    }
    ik_store16(out->port, first);
    if (rest.length == 0) {
        return 0;
    }
    rest.at++; /* the dash: read_one_port stops nowhere else */
    rest.length--;
    if (!read_one_port(&rest, protocol, &last) || rest.length > 0) {
        return ik_refuse(parser, piece, IK_FAULT_PORT);
    }
    if (first != last) {
        ik_store16(out->port, first < last ? first : last);
        ik_store16(out->last_port, first < last ? last : first);
        out->present |= IK_HAS_LAST_PORT;
    }
    return 0;
}

/* type/code, or a name */
static int parse_icmp(const struct ik_parser *parser, struct ik_text piece, bool v6)
{
    struct ik_text rest = piece;
    struct ik_text type;
    uint64_t number;
    uint64_t code;
    int found = -1;

    if (ik_take_until(&rest, '/', &type)) {
        if (ik_read_number(type, 255, &number) && ik_read_number(rest, 255, &code)) {
            found = (int)(number << 8 | code);
        }
    } else {
        found = ik_icmp_number(v6, piece.at, piece.length);
    }
    if (found < 0) {
        return ik_refuse(parser, piece, IK_FAULT_PORT);
    }
    ik_store16(parser->out->port, (uint16_t)found);
    return 0;
}

static int parse_no_port(const struct ik_parser *parser, struct ik_text piece)
{
    uint64_t value;

    return ik_read_number(piece, 0, &value) ? 0 : ik_refuse(parser, piece, IK_FAULT_PORT);
}

/* 0: none such, which no set takes either */
static uint8_t read_protocol(struct ik_text name)
{
    uint64_t value;

    if (ik_text_is(name, "tcp")) {
        return IPPROTO_TCP;
    }
    if (ik_read_number(name, 255, &value)) {
        return (uint8_t)value;
    }
    int found = ik_protocol_number(name.at, name.length);
    return found > 0 && found < 256 ? (uint8_t)found : 0;
}

/* False when there is no protocol, and then nothing is taken. */
static bool take_protocol(struct ik_text *piece, struct ik_text *name)
{
    struct ik_text rest = *piece;

    if (!ik_take_until(&rest, ':', name)) {
        return false;
    }
    *piece = rest;
    return true;
}

int ik_parse_port(const struct ik_parser *parser, struct ik_text piece)
{
    uint8_t protocol = IPPROTO_TCP;
    struct ik_text name;

    if (take_protocol(&piece, &name)) {
        protocol = read_protocol(name);
        if (protocol == 0) {
            return ik_refuse(parser, name, IK_FAULT_PROTOCOL);
        }
    }
    parser->out->protocol = protocol;
    if (ik_protocol_has_ports(protocol)) {
        return parse_ports(parser, piece, protocol);
    }
    if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6) {
        return parse_icmp(parser, piece, protocol == IPPROTO_ICMPV6);
    }
    return parse_no_port(parser, piece);
}

int ik_parse_number_part(const struct ik_parser *parser, struct ik_text piece)
{
    uint8_t protocol = IPPROTO_TCP;
    struct ik_text name;

    if (take_protocol(&piece, &name)) {
        protocol = read_protocol(name);
        if (protocol != IPPROTO_TCP && protocol != IPPROTO_UDP) {
            return ik_refuse(parser, name, IK_FAULT_PROTOCOL);
        }
    }
    return parse_ports(parser, piece, protocol);
}
