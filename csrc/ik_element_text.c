/* Knows: words, names and numbers in a text. Must not know: what they stand for. See ik_element_private.h. */
#include "ik_element_private.h"

#include <errno.h>

int ik_refuse(const struct ik_parser *parser, struct ik_text piece, enum ik_fault_code code)
{
    parser->fault->code = code;
    parser->fault->offset = (uint32_t)(piece.at - parser->start);
    parser->fault->length = (uint32_t)piece.length;
    parser->fault->line = 0;
    return -EINVAL;
}

struct ik_text ik_take_word(struct ik_text *rest)
{
    struct ik_text word = {rest->at, 0};
    size_t next;

    while (word.length < rest->length && !ik_is_space(rest->at[word.length])) {
        word.length++;
    }
    next = word.length;
    while (next < rest->length && ik_is_space(rest->at[next])) {
        next++;
    }
    rest->at += next;
    rest->length -= next;
    return word;
}

bool ik_take_until(struct ik_text *rest, char stop, struct ik_text *piece)
{
    size_t length = 0;

    *piece = *rest;
    /* Mostly a few bytes: a call of memchr costs more. */
    while (length < rest->length && rest->at[length] != stop) {
        length++;
    }
    bool found = length < rest->length;
    piece->length = length;
    rest->at += length + found;
    rest->length -= length + found;
    return found;
}

bool ik_text_is(struct ik_text text, const char *word)
{
    return strlen(word) == text.length && memcmp(text.at, word, text.length) == 0;
}

static unsigned digit_value(char byte)
{
    if (byte >= '0' && byte <= '9') {
        return (unsigned)(byte - '0');
    }
    if (byte >= 'a' && byte <= 'f') {
        return (unsigned)(byte - 'a') + 10;
    }
    if (byte >= 'A' && byte <= 'F') {
        return (unsigned)(byte - 'A') + 10;
    }
    return 255;
}

static bool read_digits(struct ik_text text, unsigned base, uint64_t most, uint64_t *value)
{
    uint64_t sum = 0;

    if (text.length == 0) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned digit = digit_value(text.at[i]);
        if (digit >= base || sum > (UINT64_MAX - digit) / base) {
            return false;
        }
        sum = sum * base + digit;
    }
    *value = sum;
    return sum <= most;
}

static bool skip_0x(struct ik_text *text)
{
    if (text->length < 2 || text->at[0] != '0' || (text->at[1] != 'x' && text->at[1] != 'X')) {
        return false;
    }
    text->at += 2;
    text->length -= 2;
    return true;
}

bool ik_read_hex(struct ik_text text, uint64_t most, uint64_t *value)
{
    skip_0x(&text);
    return read_digits(text, 16, most, value);
}

bool ik_read_number(struct ik_text text, uint64_t most, uint64_t *value)
{
    if (skip_0x(&text)) {
        return read_digits(text, 16, most, value);
    }
    return read_digits(text, text.length > 1 && text.at[0] == '0' ? 8 : 10, most, value);
}

bool ik_read_name(struct ik_text text, size_t most, char *out)
{
    if (text.length == 0 || text.length > most || memchr(text.at, 0, text.length) != NULL) {
        return false;
    }
    memcpy(out, text.at, text.length);
    return true;
}
