/* Knows: how numbers and addresses are written. Must not know: elements. See ik_element_private.h. */
#include "ik_element_private.h"

char *ik_put_decimal(char *at, uint64_t value)
{
    char digits[20];
    size_t first = sizeof(digits);

    if (value < 10) {
        *at = (char)('0' + value);
        return at + 1;
    }
    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    memcpy(at, digits + first, sizeof(digits) - first);
    return at + (sizeof(digits) - first);
}

char *ik_put_hex(char *at, uint32_t value)
{
    unsigned shift = 28;

    while (shift > 0 && value >> shift == 0) {
        shift -= 4;
    }
    for (;; shift -= 4) {
        *at++ = "0123456789abcdef"[value >> shift & 15];
        if (shift == 0) {
            return at;
        }
    }
}

char *ik_put_text(char *at, const char *text)
{
    size_t length = strlen(text);

    memcpy(at, text, length);
    return at + length;
}

#define TEN(head) head "0", head "1", head "2", head "3", head "4", head "5", head "6", head "7", head "8", head "9"

/* Of random addresses no processor can guess how many digits come next, so nothing here depends on a guess. */
static const char octets[256][4] = {
    TEN(""),   TEN("1"),  TEN("2"),  TEN("3"),  TEN("4"),  TEN("5"),  TEN("6"),  TEN("7"),  TEN("8"),  TEN("9"),  TEN("10"),
    TEN("11"), TEN("12"), TEN("13"), TEN("14"), TEN("15"), TEN("16"), TEN("17"), TEN("18"), TEN("19"), TEN("20"), TEN("21"),
    TEN("22"), TEN("23"), TEN("24"), "250",     "251",     "252",     "253",     "254",     "255",
};

static inline char *put_octet(char *at, unsigned value)
{
    memcpy(at, octets[value], sizeof(octets[value]));
    return at + 1 + (value > 9) + (value > 99);
}

static char *put_ipv4(char *at, const uint8_t *address)
{
    at = put_octet(at, address[0]);
    *at++ = '.';
    at = put_octet(at, address[1]);
    *at++ = '.';
    at = put_octet(at, address[2]);
    *at++ = '.';
    return put_octet(at, address[3]);
}

/* Where the longest run of zero groups begins, the first of several; its length, which is 0 when there is none of two at least. */
static int longest_zeros(const uint16_t *groups, int *start)
{
    int best = 1;

    *start = -1;
    for (int i = 0; i < 8; i++) {
        int length = 0;
        while (i + length < 8 && groups[i + length] == 0) {
            length++;
        }
        if (length > best) {
            best = length;
            *start = i;
        }
        i += length;
    }
    return *start >= 0 ? best : 0;
}

static char *put_ipv6(char *at, const uint8_t *address)
{
    uint16_t groups[8];
    int start;
    int length;
    int count = 8;

    for (int i = 0; i < 8; i++) {
        groups[i] = ik_load16(address + 2 * i);
    }
    length = longest_zeros(groups, &start);
    /* ::a.b.c.d and ::ffff:a.b.c.d, as inet_ntop has it */
    if (start == 0 && (length == 6 || (length == 5 && groups[5] == 0xffff))) {
        count = 6;
    }
    for (int i = 0; i < count; i++) {
        if (i == start) {
            *at++ = ':';
            i += length - 1;
            continue;
        }
        if (i > 0) {
            *at++ = ':';
        }
        at = ik_put_hex(at, groups[i]);
    }
    if (count == 6 || start + length == 8) {
        *at++ = ':';
    }
    return count == 6 ? put_ipv4(at, address + 12) : at;
}

char *ik_put_address(char *at, const uint8_t *address, uint8_t family)
{
    return family == AF_INET ? put_ipv4(at, address) : put_ipv6(at, address);
}

char *ik_put_mac(char *at, const uint8_t *mac)
{
    for (int i = 0; i < 6; i++) {
        if (i > 0) {
            *at++ = ':';
        }
        *at++ = "0123456789ABCDEF"[mac[i] >> 4];
        *at++ = "0123456789ABCDEF"[mac[i] & 15];
    }
    return at;
}
