/* What the files behind ik_element.h share.
 *
 * Knows: pieces of text, and what to say when one is wrong. Must not know: which parts and options there are.
 */
#ifndef IK_ELEMENT_PRIVATE_H
#define IK_ELEMENT_PRIVATE_H

#include "ik_element.h"

#include <string.h>
#include <sys/socket.h>

/* A piece of the caller's text, not terminated. */
struct ik_text {
    const char *at;
    size_t length;
};

struct ik_parser {
    const struct ik_shape *shape;
    const char *start; /* offsets of faults count from here */
    struct ik_element *out;
    struct ik_fault *fault;
};

/* ik_element_text.c */
int ik_refuse(const struct ik_parser *parser, struct ik_text piece, enum ik_fault_code code); /* -EINVAL */
struct ik_text ik_take_word(struct ik_text *rest);            /* up to white space, which is taken as well */
bool ik_take_until(struct ik_text *rest, char stop, struct ik_text *piece); /* false: no `stop`, and all is taken */
bool ik_text_is(struct ik_text text, const char *word);
bool ik_read_number(struct ik_text text, uint64_t most, uint64_t *value); /* decimal, 0x, or octal behind a 0 */
bool ik_read_hex(struct ik_text text, uint64_t most, uint64_t *value);    /* 0x may stand before it */
bool ik_read_name(struct ik_text text, size_t most, char *out);           /* 1 .. most bytes; only these are written */

/* ik_element_quick.c: the usual forms, taken up to a comma, white space or the end; false, and nothing is taken, when it is anything else. */
bool ik_quick_address(const struct ik_parser *parser, struct ik_text *rest, unsigned slot);
bool ik_quick_net(const struct ik_parser *parser, struct ik_text *rest, unsigned slot);
bool ik_quick_port(const struct ik_parser *parser, struct ik_text *rest);
const char *ik_scan_ipv4(const char *at, const char *end, uint8_t *out); /* behind it; NULL: it is none */

/* ik_element_address.c; `slot`: which of the element's addresses */
int ik_parse_address(const struct ik_parser *parser, struct ik_text piece, unsigned slot);
int ik_parse_net(const struct ik_parser *parser, struct ik_text piece, unsigned slot);
void ik_cut_address(uint8_t *address, size_t width, unsigned prefix);

/* ik_element_port.c */
int ik_parse_port(const struct ik_parser *parser, struct ik_text piece);
int ik_parse_number_part(const struct ik_parser *parser, struct ik_text piece);
bool ik_protocol_has_ports(uint8_t protocol);

/* ik_element_options.c */
int ik_parse_options(const struct ik_parser *parser, struct ik_text rest);

/* ik_element_put.c: each writes at `at` and returns where it ended. */
char *ik_put_decimal(char *at, uint64_t value);
char *ik_put_hex(char *at, uint32_t value);
char *ik_put_text(char *at, const char *text);
char *ik_put_address(char *at, const uint8_t *address, uint8_t family);
char *ik_put_mac(char *at, const uint8_t *mac);

/* ik_element_check.c: cleans it of what is not listed; 0 or the code of what the kernel would refuse. Ranges are left to the caller. */
enum ik_fault_code ik_check_element(const struct ik_shape *shape, struct ik_element *element);

static inline bool ik_is_space(char byte) { return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n'; }

/* In two, because compilers make a slow loop of a large one. */
static inline void ik_clear_element(struct ik_element *element)
{
    memset(element, 0, offsetof(struct ik_element, name));
    memset(element->name, 0, sizeof(*element) - offsetof(struct ik_element, name));
}

static inline void ik_copy_element(struct ik_element *to, const struct ik_element *from)
{
    memcpy(to, from, offsetof(struct ik_element, name));
    memcpy(to->name, from->name, sizeof(*to) - offsetof(struct ik_element, name));
}

static inline size_t ik_width(const struct ik_shape *shape)
{
    return shape->family == AF_INET ? 4 : 16;
}

static inline uint32_t ik_load32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static inline void ik_store32(uint8_t *bytes, uint32_t value)
{
    bytes[0] = (uint8_t)(value >> 24);
    bytes[1] = (uint8_t)(value >> 16);
    bytes[2] = (uint8_t)(value >> 8);
    bytes[3] = (uint8_t)value;
}

static inline uint16_t ik_load16(const uint8_t *bytes) { return (uint16_t)(bytes[0] << 8 | bytes[1]); }

static inline void ik_store16(uint8_t *bytes, uint16_t value)
{
    bytes[0] = (uint8_t)(value >> 8);
    bytes[1] = (uint8_t)value;
}

#endif
