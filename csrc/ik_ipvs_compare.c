/* Comparing rows: see ik_ipvs_compare.h.
 *
 * Knows: what the kernel adds to a configuration. Must not know: messages, Python.
 */
#include "ik_ipvs_compare_private.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    FLAG_PERSISTENT = 0x1,
    FLAG_ONE_PACKET = 0x4,
    FLAG_SCHEDULER = 0x38,
    METHOD_MASK = 7,
    METHOD_TUNNEL = 2,
    /* So few rows are compared with each other quicker than they are sorted. */
    FEW = 8,
};

int ik_ipvs_by_place(const struct ik_ipvs_real *a, const struct ik_ipvs_real *b)
{
    int order = memcmp(a->address, b->address, sizeof a->address);
    if (order == 0) {
        order = (a->port > b->port) - (a->port < b->port);
    }
    return order != 0 ? order : (a->family > b->family) - (a->family < b->family);
}

int ik_ipvs_by_place_of(const void *a, const void *b)
{
    return ik_ipvs_by_place(*(const struct ik_ipvs_real *const *)a, *(const struct ik_ipvs_real *const *)b);
}

static void sorted(const struct ik_ipvs_real *rows, uint32_t count, const struct ik_ipvs_real **out)
{
    for (uint32_t i = 0; i < count; i++) {
        out[i] = rows + i;
    }
    qsort(out, count, sizeof *out, ik_ipvs_by_place_of);
}

static bool few_repeat(const struct ik_ipvs_real *rows, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (ik_ipvs_by_place(rows + i, rows + j) == 0) {
                return true;
            }
        }
    }
    return false;
}

static bool many_repeat(const struct ik_ipvs_real *rows, uint32_t count, const struct ik_ipvs_real **scratch)
{
    sorted(rows, count, scratch);
    for (uint32_t i = 1; i < count; i++) {
        if (ik_ipvs_by_place(scratch[i - 1], scratch[i]) == 0) {
            return true;
        }
    }
    return false;
}

static int count_blocks(struct ik_ipvs_real *rows, size_t length, uint32_t services, uint32_t *counts)
{
    uint32_t before = 0;

    memset(counts, 0, services * sizeof *counts);
    for (size_t i = 0; i < length; i++) {
        struct ik_ipvs_real *row = rows + i;
        if (row->index >= services || row->index < before) {
            return -EBADMSG;
        }
        before = row->index;
        counts[row->index]++;
        row->index = 0;
        row->active = row->inactive = row->persistent = 0;
    }
    return 0;
}

static uint32_t largest(const uint32_t *counts, size_t count)
{
    uint32_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (counts[i] != IK_NOT_WANTED && counts[i] > found) {
            found = counts[i];
        }
    }
    return found;
}

int ik_ipvs_blocks(struct ik_ipvs_real *rows, size_t length, uint32_t services, uint32_t *counts, uint8_t *repeated)
{
    int error = count_blocks(rows, length, services, counts);
    if (error != 0) {
        return error;
    }
    uint32_t most = largest(counts, services);
    const struct ik_ipvs_real **scratch = NULL;
    if (most > FEW) {
        scratch = malloc(most * sizeof *scratch);
        if (scratch == NULL) {
            return -ENOMEM;
        }
    }
    for (uint32_t i = 0; i < services; i++) {
        repeated[i] = counts[i] <= FEW ? few_repeat(rows, counts[i]) : many_repeat(rows, counts[i], scratch);
        rows += counts[i];
    }
    free(scratch);
    return 0;
}

static bool same_tunnel(const struct ik_ipvs_real *held, const struct ik_ipvs_real *wanted)
{
    return held->tunnel_type == wanted->tunnel_type && held->tunnel_port == wanted->tunnel_port && held->tunnel_flags == wanted->tunnel_flags;
}

bool ik_ipvs_same_real(const struct ik_ipvs_real *held, const struct ik_ipvs_real *wanted)
{
    uint32_t keep = wanted->index;
    if (ik_ipvs_by_place(held, wanted) != 0) {
        return false;
    }
    uint32_t method = held->forwarding & METHOD_MASK;
    if (!(keep & IK_KEEP_FORWARDING) && method != wanted->forwarding) {
        return false;
    }
    /* Of a type without its method the kernel keeps nothing worth a change, but the values differ, so the caller is to look. */
    if (!(keep & (IK_KEEP_TUNNEL | IK_KEEP_FORWARDING)) && (method == METHOD_TUNNEL || held->tunnel_type != 0) && !same_tunnel(held, wanted)) {
        return false;
    }
    return ((keep & IK_KEEP_WEIGHT) || held->weight == wanted->weight) && ((keep & IK_KEEP_UPPER) || held->upper == wanted->upper) &&
           ((keep & IK_KEEP_LOWER) || held->lower == wanted->lower);
}

static bool same_reals(const struct ik_ipvs_real *held, const struct ik_ipvs_real *wanted, uint32_t count,
                       const struct ik_ipvs_real **scratch)
{
    /* The kernel lists the newest first; what was added in the order wanted is compared without sorting. */
    uint32_t i = 0;
    while (i < count && ik_ipvs_same_real(held + count - 1 - i, wanted + i)) {
        i++;
    }
    if (i == count) {
        return true;
    }
    sorted(held, count, scratch);
    sorted(wanted, count, scratch + count);
    for (i = 0; i < count; i++) {
        if (!ik_ipvs_same_real(scratch[i], scratch[count + i])) {
            return false;
        }
    }
    return true;
}

static bool same_scheduler(const char *held, const char *wanted, size_t size)
{
    /* No scheduler at all is listed as the empty name or as "none". */
    return strncmp(held[0] == '\0' ? "none" : held, wanted[0] == '\0' ? "none" : wanted, size) == 0;
}

static bool same_service(const struct ik_ipvs_service *held, const struct ik_ipvs_service *wanted)
{
    uint32_t keep = wanted->index;
    uint32_t flags = (keep & IK_KEEP_FLAGS ? 0 : FLAG_SCHEDULER) | (keep & IK_KEEP_ONE_PACKET ? 0 : FLAG_ONE_PACKET) |
                     (keep & IK_KEEP_TIMEOUT ? 0 : FLAG_PERSISTENT);
    if ((held->flags & flags) != (wanted->flags & flags)) {
        return false;
    }
    if (!(keep & IK_KEEP_SCHEDULER) && !same_scheduler(held->scheduler, wanted->scheduler, sizeof held->scheduler)) {
        return false;
    }
    if (!(keep & IK_KEEP_ENGINE) && strncmp(held->engine, wanted->engine, sizeof held->engine) != 0) {
        return false;
    }
    if ((keep & IK_KEEP_TIMEOUT) || !(wanted->flags & FLAG_PERSISTENT)) {
        return true;
    }
    return held->timeout == wanted->timeout && ((keep & IK_KEEP_NETMASK) || held->netmask == wanted->netmask);
}

int ik_ipvs_differing(const struct ik_ipvs_service_row *held, size_t count, const struct ik_ipvs_real *reals, const uint32_t *counts,
                      const struct ik_ipvs_service *wanted, const struct ik_ipvs_real *wanted_reals, const uint32_t *wanted_counts,
                      uint8_t *differences)
{
    size_t most = largest(counts, count);
    const struct ik_ipvs_real **scratch = malloc((2 * most + 1) * sizeof *scratch);
    if (scratch == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        differences[i] = 0;
        if (wanted_counts[i] != IK_NOT_WANTED) {
            if (!same_service(&held[i].service, wanted + i)) {
                differences[i] |= IK_SERVICE_DIFFERS;
            }
            if (!(wanted[i].index & IK_KEEP_REALS) &&
                (counts[i] != wanted_counts[i] || !same_reals(reals, wanted_reals, counts[i], scratch))) {
                differences[i] |= IK_REALS_DIFFER;
            }
            wanted_reals += wanted_counts[i];
        }
        reals += counts[i];
    }
    free(scratch);
    return 0;
}
