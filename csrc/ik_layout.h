/* How an element becomes a packed record and back: a list of moves, made from the shape and the options there are.
 *
 * Knows: which field of ik_element stands where. Must not know: tables, hashing, netlink.
 */
#ifndef IK_LAYOUT_H
#define IK_LAYOUT_H

#include "ik_element.h"

enum ik_turn { IK_PLAIN, IK_TURN16, IK_TURN32, IK_TURN64 }; /* copied as it is, or between host and network order */

struct ik_move {
    uint16_t element; /* offset in struct ik_element */
    uint16_t record;
    uint16_t size;
    uint16_t turn;
    uint32_t bit; /* of present; 0: belongs to the key */
};

enum { IK_MOVES = 24 };

struct ik_layout {
    struct ik_move moves[IK_MOVES];
    uint32_t count;
    uint32_t key_moves; /* the first ones */
    uint32_t options;   /* bits of present that have room */
    uint16_t key;       /* bytes */
    uint16_t record;    /* bytes */
    uint16_t present;   /* offset of 4 bytes, where there are options */
    uint16_t comment;   /* offset of 4 bytes: where in the heap */
};

/* False when the shape has no meaning. */
bool ik_layout_make(const struct ik_shape *shape, uint32_t options, struct ik_layout *out);
void ik_layout_pack_key(const struct ik_layout *layout, const struct ik_element *element, uint8_t *record);
/* All but the comment. */
void ik_layout_pack(const struct ik_layout *layout, const struct ik_element *element, uint8_t *record);
void ik_layout_unpack_key(const struct ik_layout *layout, const uint8_t *record, struct ik_element *element);
void ik_layout_unpack(const struct ik_layout *layout, const uint8_t *record, struct ik_element *element);

static inline uint32_t ik_layout_present(const struct ik_layout *layout, const uint8_t *record)
{
    uint32_t present = 0;

    if (layout->options != 0) {
        __builtin_memcpy(&present, record + layout->present, sizeof(present));
    }
    return present;
}

/* Copies of known length are no calls. */
static inline void ik_move_bytes(uint8_t *to, const uint8_t *from, uint16_t size)
{
    switch (size) {
    case 1:
        *to = *from;
        break;
    case 2:
        __builtin_memcpy(to, from, 2);
        break;
    case 4:
        __builtin_memcpy(to, from, 4);
        break;
    case 6:
        __builtin_memcpy(to, from, 6);
        break;
    case 8:
        __builtin_memcpy(to, from, 8);
        break;
    case 16:
        __builtin_memcpy(to, from, 16);
        break;
    default:
        __builtin_memcpy(to, from, size);
        break;
    }
}

static inline void ik_move_turned(uint8_t *to, const uint8_t *from, uint16_t size, uint16_t turn)
{
    uint16_t narrow;
    uint32_t wide;
    uint64_t widest;

    switch (turn) {
    case IK_TURN16:
        __builtin_memcpy(&narrow, from, sizeof(narrow));
        narrow = (uint16_t)(narrow << 8 | narrow >> 8);
        __builtin_memcpy(to, &narrow, sizeof(narrow));
        break;
    case IK_TURN32:
        __builtin_memcpy(&wide, from, sizeof(wide));
        wide = __builtin_bswap32(wide);
        __builtin_memcpy(to, &wide, sizeof(wide));
        break;
    case IK_TURN64:
        __builtin_memcpy(&widest, from, sizeof(widest));
        widest = __builtin_bswap64(widest);
        __builtin_memcpy(to, &widest, sizeof(widest));
        break;
    default:
        ik_move_bytes(to, from, size);
        break;
    }
}

#endif
