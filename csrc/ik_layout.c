/* Knows: the order of a record's fields. Must not know: who keeps records. See ik_layout.h. */
#include "ik_layout.h"

#include <string.h>
#include <sys/socket.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ || __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__, "one or the other");
_Static_assert(offsetof(struct ik_element, skbmask) == offsetof(struct ik_element, skbmark) + 4, "one column");

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define TURN32 IK_TURN32
#else
#define TURN32 IK_PLAIN
#endif

static void add(struct ik_layout *layout, size_t element, size_t size, uint16_t turn, uint32_t bit)
{
    struct ik_move *move = &layout->moves[layout->count++];

    *move = (struct ik_move){.element = (uint16_t)element, .record = layout->record, .size = (uint16_t)size, .turn = turn, .bit = bit};
    layout->record = (uint16_t)(layout->record + size);
}

#define ADD(layout, field, turn, bit) add(layout, offsetof(struct ik_element, field), sizeof(((struct ik_element *)0)->field), turn, bit)

static size_t address_size(const struct ik_shape *shape) { return shape->family == AF_INET6 ? 16 : 4; }

static void add_address(struct ik_layout *layout, const struct ik_shape *shape, size_t which)
{
    add(layout, offsetof(struct ik_element, address) + 16 * which, address_size(shape), IK_PLAIN, 0);
}

/* In network order throughout, so that comparing bytes sorts by number. */
static bool add_part(struct ik_layout *layout, const struct ik_shape *shape, uint8_t part, size_t *addresses)
{
    switch (part) {
    case IK_PART_NONE:
        return true;
    case IK_PART_ADDRESS:
    case IK_PART_NET:
        if (*addresses == 2 || shape->family == 0) {
            return false;
        }
        add_address(layout, shape, *addresses);
        if (part == IK_PART_NET) {
            add(layout, offsetof(struct ik_element, prefix) + *addresses, 1, IK_PLAIN, 0);
        }
        ++*addresses;
        return true;
    case IK_PART_PORT:
        ADD(layout, protocol, IK_PLAIN, 0);
        ADD(layout, port, IK_PLAIN, 0);
        return true;
    case IK_PART_NUMBER:
        ADD(layout, port, IK_PLAIN, 0);
        return true;
    case IK_PART_MARK:
        ADD(layout, mark, TURN32, 0);
        return true;
    case IK_PART_MAC:
        if (!(shape->flags & IK_SHAPE_MAC_IS_VALUE)) {
            ADD(layout, mac, IK_PLAIN, 0);
        }
        return true;
    case IK_PART_INTERFACE:
        ADD(layout, physdev, IK_PLAIN, 0);
        add(layout, offsetof(struct ik_element, name), IK_INTERFACE, IK_PLAIN, 0);
        return true;
    case IK_PART_SET:
        ADD(layout, name, IK_PLAIN, 0);
        return true;
    default:
        return false;
    }
}

static void add_options(struct ik_layout *layout, const struct ik_shape *shape, uint32_t options)
{
    const struct {
        uint32_t bit;
        size_t element, size;
    } columns[] = {
        {IK_HAS_LAST, offsetof(struct ik_element, last), address_size(shape)},
        {IK_HAS_LAST2, offsetof(struct ik_element, last) + 16, address_size(shape)},
        {IK_HAS_LAST_PORT, offsetof(struct ik_element, last_port), 2},
        {IK_HAS_MAC, offsetof(struct ik_element, mac), 6},
        {IK_HAS_TIMEOUT, offsetof(struct ik_element, timeout), 4},
        {IK_HAS_PACKETS, offsetof(struct ik_element, packets), 8},
        {IK_HAS_BYTES, offsetof(struct ik_element, bytes), 8},
        {IK_HAS_SKBMARK, offsetof(struct ik_element, skbmark), 8},
        {IK_HAS_SKBPRIO, offsetof(struct ik_element, skbprio), 4},
        {IK_HAS_SKBQUEUE, offsetof(struct ik_element, skbqueue), 2},
        {IK_HAS_BEFORE | IK_HAS_AFTER, offsetof(struct ik_element, reference), IK_NAME},
    };

    layout->present = layout->record;
    layout->record = (uint16_t)(layout->record + sizeof(uint32_t));
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        if (options & columns[i].bit) {
            add(layout, columns[i].element, columns[i].size, IK_PLAIN, columns[i].bit);
        }
    }
    if (options & IK_HAS_COMMENT) {
        layout->comment = layout->record;
        layout->record = (uint16_t)(layout->record + sizeof(uint32_t));
    }
}

bool ik_layout_make(const struct ik_shape *shape, uint32_t options, struct ik_layout *out)
{
    size_t addresses = 0;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < IK_PARTS; i++) {
        if (!add_part(out, shape, shape->parts[i], &addresses)) {
            return false;
        }
    }
    out->key = out->record;
    out->key_moves = out->count;
    out->options = options;
    if (options != 0) {
        add_options(out, shape, options);
    }
    return out->key > 0;
}

void ik_layout_pack_key(const struct ik_layout *layout, const struct ik_element *element, uint8_t *record)
{
    for (uint32_t i = 0; i < layout->key_moves; i++) {
        const struct ik_move *move = &layout->moves[i];
        ik_move_turned(record + move->record, (const uint8_t *)element + move->element, move->size, move->turn);
    }
}

void ik_layout_pack(const struct ik_layout *layout, const struct ik_element *element, uint8_t *record)
{
    ik_layout_pack_key(layout, element, record);
    if (layout->options == 0) {
        return;
    }
    memset(record + layout->key, 0, (size_t)(layout->record - layout->key));
    memcpy(record + layout->present, &element->present, sizeof(element->present));
    for (uint32_t i = layout->key_moves; i < layout->count; i++) {
        const struct ik_move *move = &layout->moves[i];
        if (element->present & move->bit) {
            ik_move_bytes(record + move->record, (const uint8_t *)element + move->element, move->size);
        }
    }
}

void ik_layout_unpack_key(const struct ik_layout *layout, const uint8_t *record, struct ik_element *element)
{
    for (uint32_t i = 0; i < layout->key_moves; i++) {
        const struct ik_move *move = &layout->moves[i];
        ik_move_turned((uint8_t *)element + move->element, record + move->record, move->size, move->turn);
    }
}

void ik_layout_unpack(const struct ik_layout *layout, const uint8_t *record, struct ik_element *element)
{
    memset(element, 0, sizeof(*element));
    element->present = ik_layout_present(layout, record);
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct ik_move *move = &layout->moves[i];
        if (move->bit == 0 || element->present & move->bit) {
            ik_move_turned((uint8_t *)element + move->element, record + move->record, move->size, move->turn);
        }
    }
}
