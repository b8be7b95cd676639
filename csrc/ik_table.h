/* Attribute tables: which attribute is which field of a flat record, as data.
 *
 * Knows: kinds, lengths and byte orders. Must not know: which families exist, sockets, Python.
 *
 * A record is a plain struct whose `present` member has one bit per attribute number: the encoder writes the attributes whose bit is
 * set, the decoder sets the bits of what it found. Unknown attributes are skipped: tomorrow's kernel must not break reading.
 */
#ifndef IK_TABLE_H
#define IK_TABLE_H

#include "ik_buf.h"

enum ik_kind {
    IK_U8 = 1,
    IK_U16,     /* host order */
    IK_U32,     /* host order */
    IK_U64,     /* host order */
    IK_BE16,    /* network order on the wire, host order in the record */
    IK_BE32,    /* network order on the wire, host order in the record */
    IK_U32_U64, /* 32 bits on the wire, 64 in the record; only read */
    IK_TEXT,    /* ends with NUL, on the wire and in the record */
    IK_EXACT,   /* bytes, as many as the record has */
    IK_UP_TO,   /* bytes, at most as many as the record has, zeros behind */
};

struct ik_attr_spec {
    uint16_t type; /* attribute number, and the bit in `present`; below 32 */
    uint8_t kind;
    uint8_t size; /* of the record's field, bytes */
    uint16_t offset;
};

struct ik_table {
    const struct ik_attr_spec *specs;
    size_t count;
    size_t present_offset; /* of a uint32_t in the record */
};

#define IK_FIELD(record, field, number, how)                                                                                   \
    {                                                                                                                          \
        .type = (number), .kind = (how), .size = sizeof(((record *)0)->field), .offset = offsetof(record, field),              \
    }

#define IK_TABLE(record, array)                                                                                                \
    {                                                                                                                          \
        .specs = (array), .count = sizeof(array) / sizeof((array)[0]), .present_offset = offsetof(record, present),            \
    }

void ik_encode(const struct ik_table *table, const void *record, struct ik_writer *writer);

/* One attribute into the record: 1 taken, 0 not in the table, -EBADMSG wrong length for its kind. */
int ik_decode_attr(const struct ik_table *table, const struct ik_attr *attr, void *record);

/* All attributes of a payload: 0, or -EBADMSG. */
int ik_decode(const struct ik_table *table, struct ik_reader payload, void *record);

#endif
