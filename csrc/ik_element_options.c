/* Knows: the options behind an element. Must not know: its parts. See ik_element_private.h. */
#include "ik_element_private.h"

static int number_option(const struct ik_parser *parser, struct ik_text *rest, uint64_t most, enum ik_fault_code code, uint64_t *value)
{
    struct ik_text word = ik_take_word(rest);

    return ik_read_number(word, most, value) ? 0 : ik_refuse(parser, word, code);
}

static int take_timeout(const struct ik_parser *parser, struct ik_text *rest)
{
    uint64_t value = 0;
    int error = number_option(parser, rest, IK_TIMEOUT_MAX, IK_FAULT_TIMEOUT, &value);

    parser->out->timeout = (uint32_t)value;
    return error;
}

/* The kernel takes the largest number for none. */
static int take_packets(const struct ik_parser *parser, struct ik_text *rest)
{
    return number_option(parser, rest, UINT64_MAX - 1, IK_FAULT_COUNTER, &parser->out->packets);
}

static int take_bytes(const struct ik_parser *parser, struct ik_text *rest)
{
    return number_option(parser, rest, UINT64_MAX - 1, IK_FAULT_COUNTER, &parser->out->bytes);
}

static int set_comment(const struct ik_parser *parser, struct ik_text comment)
{
    if (comment.length > IK_COMMENT || (comment.length > 0 && memchr(comment.at, 0, comment.length) != NULL)) {
        return ik_refuse(parser, comment, IK_FAULT_COMMENT);
    }
    parser->out->comment = comment.at;
    parser->out->comment_length = (uint32_t)comment.length;
    return 0;
}

/* Quotes within it cannot be escaped, so the last one of the text ends it: `ipset save` writes no other behind a comment. */
static int take_quoted(const struct ik_parser *parser, struct ik_text *rest)
{
    struct ik_text comment = {rest->at + 1, 0};
    const char *quote = memrchr(rest->at, '"', rest->length);
    struct ik_text behind;

    if (quote == rest->at) {
        return ik_refuse(parser, *rest, IK_FAULT_COMMENT);
    }
    comment.length = (size_t)(quote - comment.at);
    rest->length -= comment.length + 2;
    rest->at = quote + 1;
    behind = ik_take_word(rest);
    if (behind.length > 0) {
        return ik_refuse(parser, behind, IK_FAULT_COMMENT);
    }
    return set_comment(parser, comment);
}

static int take_comment(const struct ik_parser *parser, struct ik_text *rest)
{
    if (rest->length > 0 && rest->at[0] == '"') {
        return take_quoted(parser, rest);
    }
    struct ik_text word = ik_take_word(rest);
    return word.length > 0 ? set_comment(parser, word) : ik_refuse(parser, word, IK_FAULT_COMMENT);
}

/* 0xMARK[/0xMASK]. Without 0x ipset refuses it, or takes it for none: it could be meant either way. */
static int take_skbmark(const struct ik_parser *parser, struct ik_text *rest)
{
    struct ik_text word = ik_take_word(rest);
    struct ik_text mask = word;
    struct ik_text mark;
    uint64_t value = 0;
    uint64_t mask_value = UINT32_MAX;
    bool masked = ik_take_until(&mask, '/', &mark);
    bool good = mark.length > 2 && (mark.at[1] | 32) == 'x' && ik_read_number(mark, UINT32_MAX, &value);

    if (masked) {
        good = good && mask.length > 2 && (mask.at[1] | 32) == 'x' && ik_read_number(mask, UINT32_MAX, &mask_value);
    }
    parser->out->skbmark = (uint32_t)value;
    parser->out->skbmask = (uint32_t)mask_value;
    return good ? 0 : ik_refuse(parser, word, IK_FAULT_SKBMARK);
}

static int take_skbprio(const struct ik_parser *parser, struct ik_text *rest)
{
    struct ik_text word = ik_take_word(rest);
    struct ik_text minor = word;
    struct ik_text major;
    uint64_t high;
    uint64_t low;

    if (!ik_take_until(&minor, ':', &major) || !ik_read_hex(major, 0xffff, &high) || !ik_read_hex(minor, 0xffff, &low)) {
        return ik_refuse(parser, word, IK_FAULT_SKBPRIO);
    }
    parser->out->skbprio = (uint32_t)(high << 16 | low);
    return 0;
}

static int take_skbqueue(const struct ik_parser *parser, struct ik_text *rest)
{
    uint64_t value = 0;
    int error = number_option(parser, rest, UINT16_MAX, IK_FAULT_SKBQUEUE, &value);

    parser->out->skbqueue = (uint16_t)value;
    return error;
}

static int take_nothing(const struct ik_parser *parser, struct ik_text *rest)
{
    (void)parser;
    (void)rest;
    return 0;
}

static int take_reference(const struct ik_parser *parser, struct ik_text *rest)
{
    struct ik_text word = ik_take_word(rest);

    return ik_read_name(word, IK_NAME - 1, parser->out->reference) ? 0 : ik_refuse(parser, word, IK_FAULT_REFERENCE);
}

static const struct option {
    char name[12];
    uint32_t bit;
    uint32_t excludes;
    int (*take)(const struct ik_parser *parser, struct ik_text *rest);
} options[] = {
    {"timeout", IK_HAS_TIMEOUT, 0, take_timeout},
    {"packets", IK_HAS_PACKETS, 0, take_packets},
    {"bytes", IK_HAS_BYTES, 0, take_bytes},
    {"comment", IK_HAS_COMMENT, 0, take_comment},
    {"skbmark", IK_HAS_SKBMARK, 0, take_skbmark},
    {"skbprio", IK_HAS_SKBPRIO, 0, take_skbprio},
    {"skbqueue", IK_HAS_SKBQUEUE, 0, take_skbqueue},
    {"nomatch", IK_HAS_NOMATCH, 0, take_nothing},
    {"wildcard", IK_HAS_WILDCARD, 0, take_nothing},
    {"before", IK_HAS_BEFORE, IK_HAS_AFTER, take_reference},
    {"after", IK_HAS_AFTER, IK_HAS_BEFORE, take_reference},
};

static const struct option *find_option(struct ik_text word)
{
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (ik_text_is(word, options[i].name)) {
            return &options[i];
        }
    }
    return NULL;
}

int ik_parse_options(const struct ik_parser *parser, struct ik_text rest)
{
    while (rest.length > 0) {
        struct ik_text word = ik_take_word(&rest);
        const struct option *option = find_option(word);
        if (option == NULL) {
            return ik_refuse(parser, word, IK_FAULT_OPTION);
        }
        if ((parser->shape->options & option->bit) == 0) {
            return ik_refuse(parser, word, IK_FAULT_NOT_OPTION);
        }
        if (parser->out->present & (option->bit | option->excludes)) {
            return ik_refuse(parser, word, IK_FAULT_TWICE);
        }
        int error = option->take(parser, &rest);
        if (error != 0) {
            return error;
        }
        parser->out->present |= option->bit;
    }
    return 0;
}
