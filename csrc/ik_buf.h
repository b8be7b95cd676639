/* Bounded reading and writing of netlink messages and attributes.
 *
 * Knows: alignment, the header of a message, the header of an attribute.
 * Must not know: any family, any attribute's meaning, sockets, Python.
 *
 * Only checked operations exist. A writer that runs out of room remembers it (`overflow`) and writes nothing more, so a whole
 * message is built first and checked once. A reader never looks outside of the bytes that it was given.
 *
 *   message    | length u32 | type u16 | flags u16 | sequence u32 | port u32 | payload ... | pad to 4
 *   attribute  | length u16 | type u16 | payload ... | pad to 4          (lengths include the header, not the padding)
 */
#ifndef IK_BUF_H
#define IK_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { IK_MESSAGE_HEADER = 16, IK_ATTR_HEADER = 4 };

struct ik_writer {
    uint8_t *data;
    size_t length;
    size_t capacity;
    bool overflow;
};

struct ik_reader {
    const uint8_t *data;
    size_t left;
};

struct ik_message {
    uint16_t type;
    uint16_t flags;
    uint32_t sequence;
    uint32_t port;
    struct ik_reader payload;
};

struct ik_attr {
    uint16_t type; /* without the two flag bits */
    bool network_order;
    struct ik_reader payload;
};

static inline size_t ik_align(size_t length) { return (length + 3u) & ~(size_t)3u; }

void ik_writer_init(struct ik_writer *writer, uint8_t *data, size_t capacity);

/* Room for `length` bytes, zeroed, 4-aligned; NULL when there is none (and then for ever after). */
uint8_t *ik_put_room(struct ik_writer *writer, size_t length);

void ik_put_attr(struct ik_writer *writer, uint16_t type, const void *payload, size_t length);

/* Both return the offset to hand to the matching end function. */
size_t ik_message_begin(struct ik_writer *writer, uint16_t type, uint16_t flags, uint32_t sequence);
size_t ik_nest_begin(struct ik_writer *writer, uint16_t type);
void ik_message_end(struct ik_writer *writer, size_t start);
void ik_nest_end(struct ik_writer *writer, size_t start);

/* 1: one was read; 0: the end; -EBADMSG: what stands there is no message (attribute). */
int ik_next_message(struct ik_reader *reader, struct ik_message *out);
int ik_next_attr(struct ik_reader *reader, struct ik_attr *out);

/* Step over a fixed header inside a payload; false when the payload is shorter. */
bool ik_skip(struct ik_reader *reader, size_t length);

#endif
