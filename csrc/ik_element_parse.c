/* Knows: the parts of an element, one after the other. Must not know: how each is written. See ik_element.h. */
#include "ik_element_private.h"

static int parse_mark(const struct ik_parser *parser, struct ik_text piece)
{
    uint64_t value = 0;
    bool good = ik_read_number(piece, UINT32_MAX, &value);

    parser->out->mark = (uint32_t)value;
    return good ? 0 : ik_refuse(parser, piece, IK_FAULT_MARK);
}

static int parse_mac(const struct ik_parser *parser, struct ik_text piece)
{
    struct ik_text rest = piece;
    struct ik_text pair;

    for (int i = 0; i < 6; i++) {
        uint64_t value;
        bool more = ik_take_until(&rest, ':', &pair);
        if (more != (i < 5) || pair.length > 2 || !ik_read_hex(pair, 255, &value)) {
            return ik_refuse(parser, piece, IK_FAULT_MAC);
        }
        parser->out->mac[i] = (uint8_t)value;
    }
    if (parser->shape->flags & IK_SHAPE_MAC_IS_VALUE) {
        parser->out->present |= IK_HAS_MAC;
    }
    return 0;
}

static int parse_interface(const struct ik_parser *parser, struct ik_text piece)
{
    static const char mark[] = "physdev:";
    struct ik_text name = piece;

    if (name.length >= sizeof(mark) - 1 && memcmp(name.at, mark, sizeof(mark) - 1) == 0) {
        parser->out->physdev = 1;
        name.at += sizeof(mark) - 1;
        name.length -= sizeof(mark) - 1;
        if (name.length == 0) {
            return 0; /* the kernel takes that */
        }
    }
    return ik_read_name(name, IK_INTERFACE - 1, parser->out->name) ? 0 : ik_refuse(parser, name, IK_FAULT_INTERFACE);
}

static int parse_set(const struct ik_parser *parser, struct ik_text piece)
{
    return ik_read_name(piece, IK_NAME - 1, parser->out->name) ? 0 : ik_refuse(parser, piece, IK_FAULT_SET_NAME);
}

static int parse_part(const struct ik_parser *parser, uint8_t part, struct ik_text piece, unsigned *slot)
{
    switch (part) {
    case IK_PART_ADDRESS:
        return ik_parse_address(parser, piece, (*slot)++ & 1);
    case IK_PART_NET:
        return ik_parse_net(parser, piece, (*slot)++ & 1);
    case IK_PART_PORT:
        return ik_parse_port(parser, piece);
    case IK_PART_NUMBER:
        return ik_parse_number_part(parser, piece);
    case IK_PART_MARK:
        return parse_mark(parser, piece);
    case IK_PART_MAC:
        return parse_mac(parser, piece);
    case IK_PART_INTERFACE:
        return parse_interface(parser, piece);
    default:
        return parse_set(parser, piece);
    }
}

static bool may_miss(const struct ik_shape *shape, uint8_t part)
{
    return part == IK_PART_MAC && (shape->flags & IK_SHAPE_MAC_IS_VALUE) != 0;
}

static bool quick_part(const struct ik_parser *parser, uint8_t part, struct ik_text *rest, unsigned *slot)
{
    bool taken = false;

    if (part == IK_PART_ADDRESS) {
        taken = ik_quick_address(parser, rest, *slot & 1);
    } else if (part == IK_PART_NET) {
        taken = ik_quick_net(parser, rest, *slot & 1);
    } else if (part == IK_PART_PORT) {
        return ik_quick_port(parser, rest);
    }
    *slot += taken;
    return taken;
}

/* Up to a comma or white space, where it stops. Commas are part of the names of sets. */
static struct ik_text take_piece(uint8_t part, struct ik_text *rest)
{
    struct ik_text piece = {rest->at, 0};

    while (piece.length < rest->length && !ik_is_space(rest->at[piece.length]) && (rest->at[piece.length] != ',' || part == IK_PART_SET)) {
        piece.length++;
    }
    rest->at += piece.length;
    rest->length -= piece.length;
    return piece;
}

static int take_part(const struct ik_parser *parser, uint8_t part, struct ik_text *rest, unsigned *slot)
{
    if (quick_part(parser, part, rest, slot)) {
        return 0;
    }
    return parse_part(parser, part, take_piece(part, rest), slot);
}

/* False at the end of the parts; else what stands behind the comma is next. */
static bool take_comma(struct ik_text *rest)
{
    if (rest->length == 0 || rest->at[0] != ',') {
        return false;
    }
    rest->at++;
    rest->length--;
    return true;
}

static int parse_parts(const struct ik_parser *parser, struct ik_text *rest)
{
    const struct ik_shape *shape = parser->shape;
    bool more = rest->length > 0;
    unsigned slot = 0;

    for (int i = 0; i < IK_PARTS && shape->parts[i] != IK_PART_NONE; i++) {
        struct ik_text nothing = {rest->at, 0};
        if (!more) {
            return may_miss(shape, shape->parts[i]) ? 0 : ik_refuse(parser, nothing, IK_FAULT_MISSING);
        }
        int error = take_part(parser, shape->parts[i], rest, &slot);
        if (error != 0) {
            return error;
        }
        more = take_comma(rest);
    }
    return more ? ik_refuse(parser, take_piece(IK_PART_SET, rest), IK_FAULT_EXTRA) : 0;
}

static void skip_space(struct ik_text *rest)
{
    while (rest->length > 0 && ik_is_space(rest->at[0])) {
        rest->at++;
        rest->length--;
    }
}

/* `!` before an element is short for nomatch behind it. */
static int take_negation(const struct ik_parser *parser, struct ik_text *rest)
{
    struct ik_text sign = {rest->at, 1};

    if (rest->length == 0 || rest->at[0] != '!' || parser->shape->parts[0] == IK_PART_SET) {
        return 0;
    }
    if ((parser->shape->options & IK_HAS_NOMATCH) == 0) {
        return ik_refuse(parser, sign, IK_FAULT_NOT_OPTION);
    }
    parser->out->present |= IK_HAS_NOMATCH;
    rest->at++;
    rest->length--;
    skip_space(rest);
    return 0;
}

int ik_element_parse(const struct ik_shape *shape, const char *text, size_t length, struct ik_element *out, struct ik_fault *fault)
{
    struct ik_parser parser = {shape, text, out, fault};
    struct ik_text rest = {text, length};
    int error;

    ik_clear_element(out);
    skip_space(&rest);
    error = take_negation(&parser, &rest);
    if (error == 0) {
        error = parse_parts(&parser, &rest);
    }
    if (error != 0 || rest.length == 0) {
        return error;
    }
    skip_space(&rest);
    return ik_parse_options(&parser, rest);
}
