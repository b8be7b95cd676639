/* Knows: the forms that nearly all elements have, read without a guess that the processor could get wrong. Must not know: any other form,
 * what is wrong with a text. See ik_element_private.h.
 *
 * How many digits a number has is what branch prediction fails at, and it fails for each of a million addresses four times: so it is computed.
 */
#include "ik_element_private.h"

#include <netinet/in.h>

/* The digit so far ahead of `at`; 10 or more: there is none. */
static unsigned digit_at(const char *at, size_t ahead, const char *end)
{
    static const char none = 'x';
    const char *from = (size_t)(end - at) > ahead ? at + ahead : &none;

    return (unsigned)(unsigned char)*from - '0';
}

static unsigned choose(unsigned yes, unsigned one, unsigned other) { return (one & (0u - yes)) | (other & (yes - 1u)); }

/* Without leading zeros: some read 010 as 8, some as 10. */
static const char *scan_octet(const char *at, const char *end, uint8_t *out)
{
    unsigned value = digit_at(at, 0, end);
    unsigned second = digit_at(at, 1, end);
    unsigned third = digit_at(at, 2, end);
    unsigned two = second < 10;
    unsigned three = two & (third < 10);

    if (value > 9 || (value == 0 && two)) {
        return NULL;
    }
    value = choose(two, value * 10 + second, value);
    value = choose(three, value * 10 + third, value);
    *out = (uint8_t)value;
    return value > 255 ? NULL : at + 1 + two + three;
}

const char *ik_scan_ipv4(const char *at, const char *end, uint8_t *out)
{
    for (int i = 0; i < 4; i++) {
        if (i > 0 && (at == end || *at++ != '.')) {
            return NULL;
        }
        at = scan_octet(at, end, &out[i]);
        if (at == NULL) {
            return NULL;
        }
    }
    return at;
}

static bool is_end(const char *at, const char *end) { return at == end || *at == ',' || ik_is_space(*at); }

static bool take_up_to(struct ik_text *rest, const char *at)
{
    rest->length -= (size_t)(at - rest->at);
    rest->at = at;
    return true;
}

static const char *scan_place(const struct ik_parser *parser, const struct ik_text *rest, unsigned slot)
{
    return parser->shape->family == AF_INET ? ik_scan_ipv4(rest->at, rest->at + rest->length, parser->out->address[slot]) : NULL;
}

bool ik_quick_address(const struct ik_parser *parser, struct ik_text *rest, unsigned slot)
{
    const char *at = scan_place(parser, rest, slot);

    return at != NULL && is_end(at, rest->at + rest->length) && take_up_to(rest, at);
}

bool ik_quick_net(const struct ik_parser *parser, struct ik_text *rest, unsigned slot)
{
    const char *end = rest->at + rest->length;
    const char *at = scan_place(parser, rest, slot);
    unsigned prefix = 32;

    if (at != NULL && at < end && *at == '/') {
        unsigned first = digit_at(at, 1, end);
        unsigned second = digit_at(at, 2, end);
        unsigned two = second < 10;
        prefix = choose(two, first * 10 + second, first);
        if (first == 0 || first > 9 || prefix > 32) {
            return false;
        }
        at += 2 + two;
    }
    if (at == NULL || !is_end(at, end)) {
        return false;
    }
    parser->out->prefix[slot] = (uint8_t)prefix;
    return take_up_to(rest, at);
}

/* tcp: or udp: and up to five digits */
bool ik_quick_port(const struct ik_parser *parser, struct ik_text *rest)
{
    const char *end = rest->at + rest->length;
    const char *at = rest->at;
    bool tcp = rest->length > 4 && memcmp(at, "tcp:", 4) == 0;
    bool udp = rest->length > 4 && memcmp(at, "udp:", 4) == 0;
    unsigned value = 0;
    unsigned digit;

    at += tcp || udp ? 4 : 0;
    const char *first = at;
    while (at - first < 5 && (digit = digit_at(at, 0, end)) < 10) {
        value = value * 10 + digit;
        at++;
    }
    if (at == first || value > 65535 || (*first == '0' && at - first > 1) || !is_end(at, end)) {
        return false;
    }
    parser->out->protocol = udp ? IPPROTO_UDP : IPPROTO_TCP;
    ik_store16(parser->out->port, (uint16_t)value);
    return take_up_to(rest, at);
}
