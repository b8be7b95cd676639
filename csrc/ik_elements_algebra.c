/* Differences and the like between two element tables.
 *
 * Knows: records by number. Must not know: text, netlink. See ik_elements.h.
 */
#include "ik_elements_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A range stands for many elements, so what tables with ranges have in common cannot be told from their keys. */
static bool comparable(const struct ik_elements *one, const struct ik_elements *two)
{
    return one->shape.family == two->shape.family && memcmp(one->shape.parts, two->shape.parts, sizeof(one->shape.parts)) == 0 &&
           one->layout.key == two->layout.key && !((one->layout.options | two->layout.options) & IK_HAS_RANGE);
}

static bool same_comment(const struct ik_element *one, const struct ik_element *two)
{
    return one->comment_length == two->comment_length &&
           (one->comment_length == 0 || memcmp(one->comment, two->comment, one->comment_length) == 0);
}

bool ik_same_options(const struct ik_element *one, const struct ik_element *two, uint32_t options)
{
    const uint32_t both = one->present & two->present & options;

    if ((one->present & options) != (two->present & options)) {
        return false;
    }
    return (!(both & IK_HAS_MAC) || memcmp(one->mac, two->mac, sizeof(one->mac)) == 0) &&
           (!(both & IK_HAS_TIMEOUT) || one->timeout == two->timeout) && (!(both & IK_HAS_PACKETS) || one->packets == two->packets) &&
           (!(both & IK_HAS_BYTES) || one->bytes == two->bytes) && (!(both & IK_HAS_COMMENT) || same_comment(one, two)) &&
           (!(both & IK_HAS_SKBMARK) || (one->skbmark == two->skbmark && one->skbmask == two->skbmask)) &&
           (!(both & IK_HAS_SKBPRIO) || one->skbprio == two->skbprio) && (!(both & IK_HAS_SKBQUEUE) || one->skbqueue == two->skbqueue);
}

static bool same_at(const struct ik_elements *one, size_t number, const struct ik_elements *two, size_t other, uint32_t options)
{
    struct ik_element here, there;

    if ((options & (one->layout.options | two->layout.options)) == 0) {
        return true;
    }
    ik_elements_get(one, number, &here);
    ik_elements_get(two, other, &there);
    return ik_same_options(&here, &there, options);
}

/* The record as it stands; `out` has the same layout, unless it has more. */
static int take(const struct ik_elements *table, size_t number, struct ik_elements *out)
{
    struct ik_element element;

    if (out->layout.options == table->layout.options && !(table->layout.options & IK_HAS_COMMENT) && out->count < out->capacity &&
        out->index == NULL) {
        memcpy(ik_record(out, out->count), ik_record(table, number), table->layout.record);
        out->count++;
        return 0;
    }
    ik_elements_get(table, number, &element);
    return ik_elements_append(out, &element);
}

/* found[i] as ik_index_match gives it; to be freed. NULL: no memory. */
static uint32_t *match(struct ik_elements *table, struct ik_elements *other)
{
    uint32_t *found = ik_index_make(other) < 0 ? NULL : malloc((table->count + 1) * sizeof(*found));

    if (found != NULL) {
        ik_index_match(table, other, found);
    }
    return found;
}

static int64_t count_chosen(const struct ik_elements *table, const struct ik_elements *other, const uint32_t *found, int which,
                            uint32_t options, struct ik_elements *out)
{
    int64_t chosen = 0;

    for (size_t i = 0; i < table->count; i++) {
        bool there = found[i] != IK_NOWHERE;
        bool wanted = which == IK_ONLY_HERE ? !there : there;
        if (wanted && which == IK_DIFFERENT) {
            wanted = !same_at(table, i, other, found[i], options);
        }
        if (!wanted) {
            continue;
        }
        chosen++;
        int result = out == NULL ? 0 : take(table, i, out);
        if (result < 0) {
            return result;
        }
    }
    return chosen;
}

int ik_elements_select(struct ik_elements *table, struct ik_elements *other, int which, uint32_t options, struct ik_elements *out)
{
    if (!comparable(table, other) || !comparable(table, out) || out == table || out == other) {
        return -EINVAL;
    }
    uint32_t *found = match(table, other);
    if (found == NULL) {
        return -ENOMEM;
    }
    int result = ik_elements_widen(out, table->layout.options);
    /* Counted first, so that a few out of a million take the room of a few. */
    int64_t chosen = result < 0 ? result : count_chosen(table, other, found, which, options, NULL);
    result = chosen < 0 ? (int)chosen : ik_elements_reserve(out, out->count + (size_t)chosen);
    if (result == 0) {
        chosen = count_chosen(table, other, found, which, options, out);
        result = chosen < 0 ? (int)chosen : 0;
    }
    free(found);
    return result;
}

/* Whether the one there would go too soon, or never, where the other was to last otherwise. */
static bool expires(const struct ik_elements *one, size_t number, const struct ik_elements *two, size_t other, uint32_t below)
{
    struct ik_element here, there;

    ik_elements_get(one, number, &here);
    ik_elements_get(two, other, &there);
    if (!(here.present & there.present & IK_HAS_TIMEOUT)) {
        return false;
    }
    return (here.timeout == 0) != (there.timeout == 0) || (there.timeout < below && there.timeout < here.timeout);
}

int ik_elements_expiring(struct ik_elements *table, struct ik_elements *other, uint32_t below, struct ik_elements *out)
{
    if (!comparable(table, other) || !comparable(table, out) || out == table || out == other) {
        return -EINVAL;
    }
    uint32_t *found = match(table, other);
    if (found == NULL) {
        return -ENOMEM;
    }
    int result = ik_elements_widen(out, table->layout.options);
    for (size_t i = 0; result >= 0 && i < table->count; i++) {
        if (found[i] != IK_NOWHERE && expires(table, i, other, found[i], below)) {
            result = take(table, i, out);
        }
    }
    free(found);
    return result < 0 ? result : 0;
}

static int add_unseen(const struct ik_elements *other, const uint8_t *seen, struct ik_elements *out)
{
    int result = ik_elements_widen(out, other->layout.options);

    for (size_t i = 0; result >= 0 && i < other->count; i++) {
        /* Mostly nothing is missing: eight at a time. */
        if (i % 8 == 0 && seen[i / 8] == 0xFF) {
            i += 7;
            continue;
        }
        if (!(seen[i / 8] >> i % 8 & 1)) {
            result = take(other, i, out);
        }
    }
    return result;
}

int ik_elements_diff(struct ik_elements *table, struct ik_elements *other, uint32_t options, struct ik_elements *added,
                     struct ik_elements *removed, struct ik_elements *changed)
{
    if (!comparable(table, other) || !comparable(table, added) || !comparable(table, removed) || !comparable(table, changed)) {
        return -EINVAL;
    }
    uint32_t *found = match(table, other);
    uint8_t *seen = calloc(other->count / 8 + 1, 1);
    int result = found == NULL || seen == NULL ? -ENOMEM : 0;

    result = result < 0 ? result : ik_elements_widen(added, table->layout.options);
    result = result < 0 ? result : ik_elements_widen(changed, table->layout.options);
    for (size_t i = 0; result >= 0 && i < table->count; i++) {
        if (found[i] == IK_NOWHERE) {
            result = take(table, i, added);
        } else {
            seen[found[i] / 8] |= (uint8_t)(1u << found[i] % 8);
            result = same_at(table, i, other, found[i], options) ? 0 : take(table, i, changed);
        }
    }
    result = result < 0 ? result : add_unseen(other, seen, removed);
    free(seen);
    free(found);
    return result < 0 ? result : 0;
}

int ik_elements_equal(struct ik_elements *table, struct ik_elements *other, uint32_t options)
{
    if (!comparable(table, other)) {
        return -EINVAL;
    }
    if (table->count != other->count) {
        return 0;
    }
    uint32_t *found = match(table, other);
    if (found == NULL) {
        return -ENOMEM;
    }
    int same = 1;
    for (size_t i = 0; same && i < table->count; i++) {
        same = found[i] != IK_NOWHERE && same_at(table, i, other, found[i], options);
    }
    free(found);
    return same;
}

int ik_elements_copy(const struct ik_elements *table, uint32_t options, struct ik_elements *out)
{
    struct ik_element element;
    bool plain = (table->layout.options & ~options) == 0;
    int result = out->shape.family == table->shape.family && memcmp(out->shape.parts, table->shape.parts, sizeof(out->shape.parts)) == 0
                     ? ik_elements_widen(out, table->layout.options & options)
                     : -EINVAL;

    result = result < 0 ? result : ik_elements_reserve(out, out->count + table->count);
    for (size_t i = 0; result >= 0 && i < table->count; i++) {
        if (plain) {
            result = take(table, i, out);
            continue;
        }
        ik_elements_get(table, i, &element);
        element.present &= options;
        result = ik_elements_append(out, &element);
    }
    return result < 0 ? result : 0;
}

int ik_elements_merge(struct ik_elements *table, struct ik_elements *from)
{
    struct ik_element element;
    int result = comparable(table, from) && table != from ? 0 : -EINVAL;

    for (size_t i = 0; result >= 0 && i < from->count; i++) {
        ik_elements_get(from, i, &element);
        result = ik_elements_put(table, &element);
    }
    return result < 0 ? result : 0;
}

static int by_key(const void *one, const void *two, void *size) { return memcmp(one, two, *(const size_t *)size); }

int ik_elements_sort(struct ik_elements *table)
{
    size_t size = table->layout.key;

    if (table->count > 1) {
        qsort_r(table->records, table->count, table->layout.record, by_key, &size);
    }
    ik_index_drop(table);
    return 0;
}
