/* What the files of the element table share.
 *
 * Knows: how a table is laid out in memory. Must not know: text, netlink.
 */
#ifndef IK_ELEMENTS_PRIVATE_H
#define IK_ELEMENTS_PRIVATE_H

#include "ik_elements.h"
#include "ik_layout.h"

enum { IK_NOWHERE = UINT32_MAX };

struct ik_elements {
    struct ik_shape shape;
    struct ik_layout layout;
    uint8_t *records;
    size_t count;
    size_t capacity;
    uint32_t *index; /* record number + 1; 0: free. NULL: there is none */
    size_t slots;    /* a power of two */
    uint64_t seed;
    char *heap; /* comments: a byte of length, then so many bytes */
    size_t heap_used;
    size_t heap_capacity;
};

static inline uint8_t *ik_record(const struct ik_elements *table, size_t number) { return table->records + number * table->layout.record; }

/* ik_elements_index.c */
uint64_t ik_key_hash(const struct ik_elements *table, const uint8_t *key);
int ik_index_make(struct ik_elements *table);
void ik_index_drop(struct ik_elements *table);
/* Of a key with this hash, in a table with an index: its record number, or IK_NOWHERE. */
uint32_t ik_index_find(const struct ik_elements *table, const uint8_t *key, uint64_t hash);
/* The last record was just added. */
int ik_index_add(struct ik_elements *table, uint64_t hash);
void ik_index_remove(struct ik_elements *table, uint32_t number);
/* The record that had this number has another one now. */
void ik_index_moved(struct ik_elements *table, uint32_t from, uint32_t to);
/* Of records that have the same key the first one stays, with the options of the last one; then there is an index. */
int ik_index_settle(struct ik_elements *table);
/* found[i]: the number in `other` of the record i of `table`, or IK_NOWHERE. `other` has an index. */
void ik_index_match(const struct ik_elements *table, const struct ik_elements *other, uint32_t *found);

/* ik_elements.c */
int ik_elements_grow(struct ik_elements *table); /* room for one more */
int ik_elements_widen(struct ik_elements *table, uint32_t options);
bool ik_same_options(const struct ik_element *one, const struct ik_element *two, uint32_t options);

#endif
