/* The life of an element table, and single elements in it.
 *
 * Knows: records and the heap of comments. Must not know: hashing (ik_elements_index.c), text. See ik_elements.h.
 */
#include "ik_elements_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { FIRST_CAPACITY = 64, FIRST_HEAP = 4096 };

struct ik_elements *ik_elements_new(const struct ik_shape *shape)
{
    struct ik_elements *table = calloc(1, sizeof(*table));
    struct timespec now;

    if (table == NULL) {
        return NULL;
    }
    table->shape = *shape;
    if ((shape->family != 0 && shape->family != AF_INET && shape->family != AF_INET6) ||
        !ik_layout_make(shape, 0, &table->layout)) {
        free(table);
        return NULL;
    }
    /* Those who choose what is in a block list must not know what makes its index slow. */
    clock_gettime(CLOCK_MONOTONIC, &now);
    table->seed = ((uint64_t)now.tv_nsec << 20 ^ (uint64_t)(uintptr_t)table) * UINT64_C(0xD6E8FEB86659FD93);
    return table;
}

void ik_elements_free(struct ik_elements *table)
{
    if (table != NULL) {
        free(table->records);
        free(table->index);
        free(table->heap);
        free(table);
    }
}

const struct ik_shape *ik_elements_shape(const struct ik_elements *table) { return &table->shape; }

int ik_elements_reshape(struct ik_elements *table, const struct ik_shape *shape)
{
    if (shape->family != table->shape.family || memcmp(shape->parts, table->shape.parts, sizeof(shape->parts)) != 0 ||
        (shape->flags & IK_SHAPE_MAC_IS_VALUE) != (table->shape.flags & IK_SHAPE_MAC_IS_VALUE)) {
        return -EINVAL;
    }
    table->shape = *shape;
    return 0;
}

size_t ik_elements_count(const struct ik_elements *table) { return table->count; }

uint32_t ik_elements_options(const struct ik_elements *table) { return table->layout.options; }

size_t ik_elements_memory(const struct ik_elements *table)
{
    return sizeof(*table) + table->capacity * table->layout.record + table->slots * sizeof(*table->index) + table->heap_capacity;
}

int ik_elements_reserve(struct ik_elements *table, size_t count)
{
    if (count <= table->capacity) {
        return 0;
    }
    if (count >= IK_NOWHERE) {
        return -E2BIG;
    }
    uint8_t *records = realloc(table->records, count * table->layout.record);
    if (records == NULL) {
        return -ENOMEM;
    }
    table->records = records;
    table->capacity = count;
    return 0;
}

void ik_elements_clear(struct ik_elements *table)
{
    table->count = 0;
    table->heap_used = 0;
    ik_index_drop(table);
}

/* Every record anew, with room for these options too. */
int ik_elements_widen(struct ik_elements *table, uint32_t options)
{
    struct ik_layout layout;
    struct ik_element element;

    if ((options & ~table->layout.options) == 0) {
        return 0;
    }
    (void)ik_layout_make(&table->shape, table->layout.options | options, &layout);
    size_t capacity = table->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : table->capacity;
    uint8_t *records = malloc(capacity * layout.record);
    if (records == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < table->count; i++) {
        uint8_t *record = records + i * layout.record;
        ik_layout_unpack(&table->layout, ik_record(table, i), &element);
        ik_layout_pack(&layout, &element, record);
        if (element.present & IK_HAS_COMMENT) {
            memcpy(record + layout.comment, ik_record(table, i) + table->layout.comment, sizeof(uint32_t));
        }
    }
    free(table->records);
    table->records = records;
    table->capacity = capacity;
    table->layout = layout;
    return 0;
}

int ik_elements_grow(struct ik_elements *table)
{
    if (table->count < table->capacity) {
        return 0;
    }
    return ik_elements_reserve(table, table->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : table->capacity + table->capacity / 2);
}

static uint32_t comment_at(const struct ik_elements *table, const uint8_t *record)
{
    uint32_t where;

    memcpy(&where, record + table->layout.comment, sizeof(where));
    return where;
}

/* Bytes of the comments that a record still has: others were replaced or removed. */
static size_t comments_in_use(const struct ik_elements *table)
{
    size_t bytes = 0;

    for (size_t i = 0; i < table->count; i++) {
        const uint8_t *record = ik_record(table, i);
        if (ik_layout_present(&table->layout, record) & IK_HAS_COMMENT) {
            bytes += (size_t)(uint8_t)table->heap[comment_at(table, record)] + 1;
        }
    }
    return bytes;
}

/* Another heap, with those comments only that a record still has. */
static int renew_heap(struct ik_elements *table, size_t capacity)
{
    char *heap = capacity > UINT32_MAX ? NULL : malloc(capacity);
    size_t used = 0;

    if (heap == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < table->count; i++) {
        uint8_t *record = ik_record(table, i);
        if (ik_layout_present(&table->layout, record) & IK_HAS_COMMENT) {
            const char *comment = table->heap + comment_at(table, record);
            size_t size = (size_t)(uint8_t)*comment + 1;
            uint32_t where = (uint32_t)used;
            memcpy(heap + used, comment, size);
            memcpy(record + table->layout.comment, &where, sizeof(where));
            used += size;
        }
    }
    free(table->heap);
    table->heap = heap;
    table->heap_used = used;
    table->heap_capacity = capacity;
    return 0;
}

/* Looking through all records is worth it here, because between two times half of the heap is filled. */
static int grow_heap(struct ik_elements *table)
{
    size_t used = comments_in_use(table);

    if (used <= table->heap_capacity / 2) {
        return renew_heap(table, table->heap_capacity == 0 ? FIRST_HEAP : table->heap_capacity);
    }
    size_t capacity = table->heap_capacity + table->heap_capacity / 2;
    char *heap = capacity > UINT32_MAX ? NULL : realloc(table->heap, capacity);
    if (heap == NULL) {
        return -ENOMEM;
    }
    table->heap = heap;
    table->heap_capacity = capacity;
    return 0;
}

/* The comment into the heap; where it stands, or a negative errno. */
static int64_t keep_comment(struct ik_elements *table, const struct ik_element *element)
{
    size_t length = element->comment_length < IK_COMMENT ? element->comment_length : IK_COMMENT;

    if (length + 1 > table->heap_capacity - table->heap_used) {
        int result = grow_heap(table);
        if (result < 0) {
            return result;
        }
    }
    size_t where = table->heap_used;
    table->heap[where] = (char)(uint8_t)length;
    memcpy(table->heap + where + 1, element->comment, length);
    table->heap_used += length + 1;
    return (int64_t)where;
}

/* The comment first: without memory for it, the record stays what it was. */
static int store(struct ik_elements *table, const struct ik_element *element, size_t number)
{
    int64_t where = element->present & IK_HAS_COMMENT ? keep_comment(table, element) : 0;

    if (where < 0) {
        return (int)where;
    }
    ik_layout_pack(&table->layout, element, ik_record(table, number));
    if (element->present & IK_HAS_COMMENT) {
        uint32_t field = (uint32_t)where;
        memcpy(ik_record(table, number) + table->layout.comment, &field, sizeof(field));
    }
    return 0;
}

int ik_elements_append(struct ik_elements *table, const struct ik_element *element)
{
    int result = ik_elements_widen(table, element->present);

    result = result < 0 ? result : ik_elements_grow(table);
    result = result < 0 ? result : store(table, element, table->count);
    if (result < 0) {
        return result;
    }
    table->count++;
    if (table->index != NULL) {
        return ik_index_add(table, ik_key_hash(table, ik_record(table, table->count - 1)));
    }
    return 0;
}

int ik_elements_put(struct ik_elements *table, const struct ik_element *element)
{
    uint8_t key[512];
    int result = ik_elements_widen(table, element->present);

    result = result < 0 ? result : ik_elements_grow(table);
    result = result < 0 ? result : ik_index_make(table);
    if (result < 0) {
        return result;
    }
    ik_layout_pack_key(&table->layout, element, key);
    uint64_t hash = ik_key_hash(table, key);
    uint32_t number = ik_index_find(table, key, hash);
    if (number != IK_NOWHERE) {
        return store(table, element, number);
    }
    result = store(table, element, table->count);
    if (result < 0) {
        return result;
    }
    table->count++;
    result = ik_index_add(table, hash);
    return result < 0 ? result : 1;
}

int ik_elements_settle(struct ik_elements *table) { return ik_index_settle(table); }

long ik_elements_find(struct ik_elements *table, const struct ik_element *element)
{
    uint8_t key[512];
    int result = ik_index_make(table);

    if (result < 0) {
        return result;
    }
    ik_layout_pack_key(&table->layout, element, key);
    uint32_t number = ik_index_find(table, key, ik_key_hash(table, key));
    return number == IK_NOWHERE ? -1 : (long)number;
}

int ik_elements_remove(struct ik_elements *table, const struct ik_element *element)
{
    long number = ik_elements_find(table, element);

    if (number < 0) {
        return number == -1 ? 0 : (int)number;
    }
    uint8_t *record = ik_record(table, (size_t)number);
    size_t last = table->count - 1;
    if (ik_shape_has(&table->shape, IK_PART_SET)) {
        memmove(record, record + table->layout.record, (last - (size_t)number) * table->layout.record);
        ik_index_drop(table);
    } else {
        ik_index_remove(table, (uint32_t)number);
        if ((size_t)number != last) {
            ik_index_moved(table, (uint32_t)last, (uint32_t)number);
            memcpy(record, ik_record(table, last), table->layout.record);
        }
    }
    table->count--;
    return 1;
}

void ik_elements_get(const struct ik_elements *table, size_t number, struct ik_element *out)
{
    const uint8_t *record = ik_record(table, number);

    ik_layout_unpack(&table->layout, record, out);
    if (out->present & IK_HAS_COMMENT) {
        uint32_t where = comment_at(table, record);
        out->comment_length = (uint8_t)table->heap[where];
        out->comment = table->heap + where + 1;
    }
}

void ik_elements_get_next(const struct ik_elements *table, size_t number, struct ik_element *out)
{
    if (table->layout.options != 0) {
        ik_elements_get(table, number, out);
    } else {
        ik_layout_unpack_key(&table->layout, ik_record(table, number), out);
    }
}

size_t ik_elements_rows(const struct ik_elements *table, size_t start, size_t count, struct ik_element_row *out, char *comments, size_t room,
                        size_t *used)
{
    struct ik_element element;
    size_t done = 0;

    *used = 0;
    for (; done < count && start + done < table->count; done++) {
        struct ik_element_row *row = &out[done];
        ik_elements_get(table, start + done, &element);
        if (element.comment_length > room - *used) {
            break;
        }
        /* The same fields in the same order, up to the comment. */
        memcpy(row, &element, sizeof(*row));
        if (element.comment_length > 0) {
            memcpy(comments + *used, element.comment, element.comment_length);
            *used += element.comment_length;
        }
    }
    return done;
}

_Static_assert(offsetof(struct ik_element_row, reference) == offsetof(struct ik_element, reference), "the same fields in the same order");
_Static_assert(offsetof(struct ik_element_row, comment_length) == offsetof(struct ik_element, comment_length), "the same");
_Static_assert(offsetof(struct ik_element_row, skbmark) == offsetof(struct ik_element, skbmark), "the same");
_Static_assert(offsetof(struct ik_element_row, mac) == offsetof(struct ik_element, mac), "the same");
_Static_assert(offsetof(struct ik_element_row, packets) == offsetof(struct ik_element, packets), "the same");
_Static_assert(sizeof(struct ik_element_row) <= offsetof(struct ik_element, comment), "the same");
