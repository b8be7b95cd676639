/* The hash index of an element table: open addressing, record numbers.
 *
 * Knows: keys as bytes. Must not know: what they mean. See ik_elements.h.
 */
#include "ik_elements_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 16, BATCH = 32 };

static inline uint64_t stir(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 32;
}

static inline uint64_t hash_bytes(uint64_t hash, const uint8_t *key, size_t size)
{
    uint64_t word = 0;

    while (size > sizeof(word)) {
        memcpy(&word, key, sizeof(word));
        hash = stir(hash, word);
        key += sizeof(word);
        size -= sizeof(word);
    }
    word = 0;
    if (size >= 4) {
        /* Two words that overlap, rather than a copy of unknown length. */
        uint32_t low, high;
        memcpy(&low, key, sizeof(low));
        memcpy(&high, key + size - sizeof(high), sizeof(high));
        word = (uint64_t)high << 32 | low;
    } else {
        for (size_t i = 0; i < size; i++) {
            word = word << 8 | key[i];
        }
    }
    return stir(stir(hash, word), size);
}

uint64_t ik_key_hash(const struct ik_elements *table, const uint8_t *key) { return hash_bytes(table->seed, key, table->layout.key); }

static inline bool same_key(const uint8_t *one, const uint8_t *two, size_t size)
{
    if (size == 4) {
        uint32_t a, b;
        memcpy(&a, one, sizeof(a));
        memcpy(&b, two, sizeof(b));
        return a == b;
    }
    return memcmp(one, two, size) == 0;
}

uint32_t ik_index_find(const struct ik_elements *table, const uint8_t *key, uint64_t hash)
{
    size_t mask = table->slots - 1;

    for (size_t slot = hash & mask; table->index[slot] != 0; slot = (slot + 1) & mask) {
        uint32_t number = table->index[slot] - 1;
        if (same_key(ik_record(table, number), key, table->layout.key)) {
            return number;
        }
    }
    return IK_NOWHERE;
}

static void insert(struct ik_elements *table, uint64_t hash, uint32_t number)
{
    size_t mask = table->slots - 1;
    size_t slot = hash & mask;

    while (table->index[slot] != 0) {
        slot = (slot + 1) & mask;
    }
    table->index[slot] = number + 1;
}

/* Memory is waited for once for many records, not once for each. */
static void insert_all(struct ik_elements *table)
{
    uint64_t hashes[BATCH];

    for (size_t start = 0; start < table->count; start += BATCH) {
        size_t some = table->count - start < BATCH ? table->count - start : BATCH;
        for (size_t i = 0; i < some; i++) {
            hashes[i] = ik_key_hash(table, ik_record(table, start + i));
            __builtin_prefetch(&table->index[hashes[i] & (table->slots - 1)], 1);
        }
        for (size_t i = 0; i < some; i++) {
            insert(table, hashes[i], (uint32_t)(start + i));
        }
    }
}

static int make(struct ik_elements *table, size_t slots)
{
    uint32_t *index = calloc(slots, sizeof(*index));

    if (index == NULL) {
        return -ENOMEM;
    }
    free(table->index);
    table->index = index;
    table->slots = slots;
    insert_all(table);
    return 0;
}

int ik_index_make(struct ik_elements *table)
{
    size_t slots = FIRST_SLOTS;

    if (table->index != NULL) {
        return 0;
    }
    while (slots < table->count * 2 || slots < table->capacity) {
        slots *= 2;
    }
    return make(table, slots);
}

void ik_index_drop(struct ik_elements *table)
{
    free(table->index);
    table->index = NULL;
    table->slots = 0;
}

int ik_index_add(struct ik_elements *table, uint64_t hash)
{
    if (table->count * 4 > table->slots * 3) {
        return make(table, table->slots * 2);
    }
    insert(table, hash, (uint32_t)(table->count - 1));
    return 0;
}

static size_t slot_of(const struct ik_elements *table, uint32_t number)
{
    size_t mask = table->slots - 1;
    size_t slot = ik_key_hash(table, ik_record(table, number)) & mask;

    while (table->index[slot] != number + 1) {
        slot = (slot + 1) & mask;
    }
    return slot;
}

/* What stands behind a freed slot moves up, as long as it does not come before its own place. */
void ik_index_remove(struct ik_elements *table, uint32_t number)
{
    size_t mask = table->slots - 1;
    size_t hole = slot_of(table, number);

    for (size_t slot = (hole + 1) & mask; table->index[slot] != 0; slot = (slot + 1) & mask) {
        size_t home = ik_key_hash(table, ik_record(table, table->index[slot] - 1)) & mask;
        if (((slot - home) & mask) >= ((slot - hole) & mask)) {
            table->index[hole] = table->index[slot];
            hole = slot;
        }
    }
    table->index[hole] = 0;
}

void ik_index_moved(struct ik_elements *table, uint32_t from, uint32_t to) { table->index[slot_of(table, from)] = to + 1; }

/* The record i goes to place `to`, unless its key is there already: then to its options. The number of records so far. */
static size_t settle(struct ik_elements *table, uint64_t hash, size_t i, size_t to)
{
    uint8_t *record = ik_record(table, i);
    uint32_t number = ik_index_find(table, record, hash);

    if (number != IK_NOWHERE) {
        memcpy(ik_record(table, number), record, table->layout.record);
        return to;
    }
    if (to != i) {
        memcpy(ik_record(table, to), record, table->layout.record);
    }
    insert(table, hash, (uint32_t)to);
    return to + 1;
}

int ik_index_settle(struct ik_elements *table)
{
    uint64_t hashes[BATCH];
    size_t count = table->count, to = 0, slots = FIRST_SLOTS;

    /* As many as adding one by one would have made: in a full index a search does not end. */
    while (slots * 3 < count * 4) {
        slots *= 2;
    }
    table->count = 0;
    ik_index_drop(table);
    int result = make(table, slots);
    table->count = count;
    if (result < 0) {
        return result;
    }
    for (size_t start = 0; start < count; start += BATCH) {
        size_t some = count - start < BATCH ? count - start : BATCH;
        for (size_t i = 0; i < some; i++) {
            hashes[i] = ik_key_hash(table, ik_record(table, start + i));
            __builtin_prefetch(&table->index[hashes[i] & (table->slots - 1)], 1);
        }
        for (size_t i = 0; i < some; i++) {
            to = settle(table, hashes[i], start + i, to);
        }
    }
    table->count = to;
    return 0;
}

void ik_index_match(const struct ik_elements *table, const struct ik_elements *other, uint32_t *found)
{
    uint64_t hashes[BATCH];
    size_t mask = other->slots - 1;

    for (size_t start = 0; start < table->count; start += BATCH) {
        size_t some = table->count - start < BATCH ? table->count - start : BATCH;
        for (size_t i = 0; i < some; i++) {
            hashes[i] = ik_key_hash(other, ik_record(table, start + i));
            __builtin_prefetch(&other->index[hashes[i] & mask]);
        }
        for (size_t i = 0; i < some; i++) {
            uint32_t number = other->index[hashes[i] & mask];
            if (number != 0) {
                __builtin_prefetch(ik_record(other, number - 1));
            }
        }
        for (size_t i = 0; i < some; i++) {
            found[start + i] = ik_index_find(other, ik_record(table, start + i), hashes[i]);
        }
    }
}
