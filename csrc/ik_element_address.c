/* Knows: the text forms of addresses, blocks and ranges. Must not know: the other parts of an element. See ik_element_private.h. */
#include "ik_element_private.h"

#include <arpa/inet.h>

static bool read_ipv4(struct ik_text text, uint8_t *out)
{
    const char *end = text.at + text.length;

    return ik_scan_ipv4(text.at, end, out) == end;
}

static bool read_ipv6(struct ik_text text, uint8_t *out)
{
    char copy[INET6_ADDRSTRLEN];

    if (text.length >= 2 && text.at[0] == '[' && text.at[text.length - 1] == ']') {
        text.at++;
        text.length -= 2;
    }
    if (text.length >= sizeof(copy) || memchr(text.at, 0, text.length) != NULL) {
        return false;
    }
    memcpy(copy, text.at, text.length);
    copy[text.length] = 0;
    return inet_pton(AF_INET6, copy, out) == 1;
}

static bool read_address(const struct ik_parser *parser, struct ik_text text, uint8_t *out)
{
    if (parser->shape->family == AF_INET) {
        if (read_ipv4(text, out)) {
            return true;
        }
        memset(out, 0, 4);
        return false;
    }
    return read_ipv6(text, out);
}

static int refuse_address(const struct ik_parser *parser, struct ik_text text)
{
    uint8_t unused[16];
    bool other = parser->shape->family == AF_INET ? read_ipv6(text, unused) : read_ipv4(text, unused);

    return ik_refuse(parser, text, other ? IK_FAULT_FAMILY : IK_FAULT_ADDRESS);
}

void ik_cut_address(uint8_t *address, size_t width, unsigned prefix)
{
    size_t whole = prefix / 8;

    if (whole >= width) {
        return;
    }
    address[whole] &= (uint8_t)(0xff00u >> (prefix % 8));
    memset(address + whole + 1, 0, width - whole - 1);
}

/* `a/p`, with the host bits as they are. */
static int read_block(const struct ik_parser *parser, struct ik_text piece, unsigned slot, unsigned *prefix)
{
    struct ik_text address;
    uint64_t value;

    ik_take_until(&piece, '/', &address);
    if (!read_address(parser, address, parser->out->address[slot])) {
        return refuse_address(parser, address);
    }
    if (!ik_read_number(piece, ik_width(parser->shape) * 8, &value)) {
        return ik_refuse(parser, piece, IK_FAULT_PREFIX);
    }
    if (value == 0 && (parser->shape->flags & IK_SHAPE_ZERO_PREFIX) == 0) {
        return ik_refuse(parser, piece, IK_FAULT_PREFIX);
    }
    *prefix = (unsigned)value;
    return 0;
}

/* `a-b`; both the same, or the wrong way round, are as the kernel takes them. */
static int read_range(const struct ik_parser *parser, struct ik_text piece, unsigned slot, bool allowed)
{
    struct ik_element *out = parser->out;
    struct ik_text whole = piece;
    struct ik_text from;

    ik_take_until(&piece, '-', &from);
    if (!read_address(parser, from, out->address[slot])) {
        return refuse_address(parser, from);
    }
    if (!read_address(parser, piece, out->last[slot])) {
        return refuse_address(parser, piece);
    }
    if (!allowed || parser->shape->family != AF_INET) {
        return ik_refuse(parser, whole, IK_FAULT_RANGE);
    }
    uint32_t first = ik_load32(out->address[slot]);
    uint32_t last = ik_load32(out->last[slot]);
    ik_store32(out->address[slot], first < last ? first : last);
    ik_store32(out->last[slot], first == last ? 0 : first < last ? last : first);
    if (first != last) {
        out->present |= slot == 0 ? IK_HAS_LAST : IK_HAS_LAST2;
    }
    return 0;
}

static bool has(struct ik_text piece, char byte) { return piece.length > 0 && memchr(piece.at, byte, piece.length) != NULL; }

static int parse_address_block(const struct ik_parser *parser, struct ik_text piece, unsigned slot, bool allowed)
{
    uint8_t *address = parser->out->address[slot];
    unsigned prefix = 0;
    int error = read_block(parser, piece, slot, &prefix);

    if (error != 0 || prefix == ik_width(parser->shape) * 8) {
        return error;
    }
    if (!allowed || parser->shape->family != AF_INET) {
        return ik_refuse(parser, piece, IK_FAULT_RANGE);
    }
    ik_cut_address(address, 4, prefix);
    ik_store32(parser->out->last[0], ik_load32(address) | (uint32_t)(UINT64_C(0xffffffff) >> prefix));
    parser->out->present |= IK_HAS_LAST;
    return 0;
}

int ik_parse_address(const struct ik_parser *parser, struct ik_text piece, unsigned slot)
{
    bool allowed = slot == 0 && (parser->shape->flags & IK_SHAPE_RANGES) != 0;

    if (read_address(parser, piece, parser->out->address[slot])) {
        return 0;
    }
    if (has(piece, '/')) {
        return parse_address_block(parser, piece, slot, allowed);
    }
    if (has(piece, '-')) {
        return read_range(parser, piece, slot, allowed);
    }
    return refuse_address(parser, piece);
}

int ik_parse_net(const struct ik_parser *parser, struct ik_text piece, unsigned slot)
{
    unsigned prefix = (unsigned)ik_width(parser->shape) * 8;
    int error = 0;

    if (!read_address(parser, piece, parser->out->address[slot])) {
        if (has(piece, '/')) {
            error = read_block(parser, piece, slot, &prefix);
        } else if (has(piece, '-')) {
            error = read_range(parser, piece, slot, true);
        } else {
            error = refuse_address(parser, piece);
        }
    }
    parser->out->prefix[slot] = (uint8_t)prefix;
    return error;
}
