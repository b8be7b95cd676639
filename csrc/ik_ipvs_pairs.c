/* Pairing rows: see ik_ipvs_pairs.h.
 *
 * Knows: what identifies a real server. Must not know: messages, Python.
 */
#include "ik_ipvs_pairs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ik_ipvs_compare_private.h"

enum {
    KEY_ATTRIBUTES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5,
    REAL_IDENTITY = 1 << 1 | 1 << 2 | 1 << 11,
};

struct pairing {
    const struct ik_ipvs_real *held;
    const struct ik_ipvs_real *wanted;
    const struct ik_ipvs_real **sorted; /* the held rows of one service by place */
    uint8_t *paired;                    /* which of those, by their own order, are wanted */
    struct ik_ipvs_pair *next[IK_PAIR_KINDS]; /* NULL: counted only */
    uint32_t *found;
};

static void note(struct pairing *run, enum ik_ipvs_pair_kind kind, uint32_t service, uint32_t held, uint32_t wanted)
{
    run->found[kind]++;
    if (run->next[kind] != NULL) {
        *run->next[kind]++ = (struct ik_ipvs_pair){.service = service, .held = held, .wanted = wanted};
    }
}

static const struct ik_ipvs_real *find(const struct pairing *run, uint32_t count, const struct ik_ipvs_real *wanted)
{
    const struct ik_ipvs_real **row = bsearch(&wanted, run->sorted, count, sizeof *run->sorted, ik_ipvs_by_place_of);

    return row == NULL ? NULL : *row;
}

static void pair_service(struct pairing *run, uint32_t service, size_t held, uint32_t held_count, size_t wanted, uint32_t wanted_count)
{
    for (uint32_t i = 0; i < held_count; i++) {
        run->sorted[i] = run->held + held + i;
    }
    qsort(run->sorted, held_count, sizeof *run->sorted, ik_ipvs_by_place_of);
    memset(run->paired, 0, held_count);
    for (size_t i = wanted; i < wanted + wanted_count; i++) {
        const struct ik_ipvs_real *row = find(run, held_count, run->wanted + i);
        if (row == NULL) {
            note(run, IK_PAIR_ADD, service, IK_NO_ROW, (uint32_t)i);
            continue;
        }
        run->paired[row - (run->held + held)] = 1;
        if (!ik_ipvs_same_real(row, run->wanted + i)) {
            int lower = !(run->wanted[i].index & IK_KEEP_WEIGHT) && run->wanted[i].weight < row->weight;
            note(run, lower ? IK_PAIR_LOWER : IK_PAIR_RAISE, service, (uint32_t)(row - run->held), (uint32_t)i);
        }
    }
    /* The kernel lists the newest first. */
    for (uint32_t i = held_count; i-- > 0;) {
        if (!run->paired[i]) {
            note(run, IK_PAIR_REMOVE, service, (uint32_t)(held + i), IK_NO_ROW);
        }
    }
}

/* Where each service's rows begin. */
static void starts(const uint32_t *counts, size_t services, size_t *out)
{
    size_t at = 0;

    for (size_t i = 0; i < services; i++) {
        out[i] = at;
        at += counts[i] == IK_NOT_WANTED ? 0 : counts[i];
    }
}

static void pair_all(struct pairing *run, const struct ik_ipvs_sides *sides, const uint32_t *order, size_t chosen, const size_t *held,
                     const size_t *wanted)
{
    memset(run->found, 0, IK_PAIR_KINDS * sizeof *run->found);
    for (size_t i = 0; i < chosen; i++) {
        uint32_t service = order[i];
        uint32_t wanted_count = sides->wanted_counts[service] == IK_NOT_WANTED ? 0 : sides->wanted_counts[service];
        pair_service(run, service, held[service], sides->counts[service], wanted[service], wanted_count);
    }
}

int ik_ipvs_pairs(const struct ik_ipvs_sides *sides, const uint32_t *order, size_t chosen, struct ik_ipvs_pair *out,
                  uint32_t found[IK_PAIR_KINDS])
{
    struct pairing run = {.held = sides->reals, .wanted = sides->wanted, .found = found};
    size_t *held = malloc((2 * sides->services + 1) * sizeof *held);
    size_t most = 1;

    for (size_t i = 0; i < sides->services; i++) {
        most = sides->counts[i] > most ? sides->counts[i] : most;
    }
    run.sorted = malloc(most * sizeof *run.sorted);
    run.paired = malloc(most);
    int result = held == NULL || run.sorted == NULL || run.paired == NULL ? -ENOMEM : 0;
    if (result == 0) {
        size_t *wanted = held + sides->services;
        starts(sides->counts, sides->services, held);
        starts(sides->wanted_counts, sides->services, wanted);
        pair_all(&run, sides, order, chosen, held, wanted);
        if (out != NULL) {
            for (int kind = 0; kind < IK_PAIR_KINDS; kind++) {
                run.next[kind] = out;
                out += found[kind];
            }
            pair_all(&run, sides, order, chosen, held, wanted);
        }
    }
    free(held);
    free(run.sorted);
    free(run.paired);
    return result;
}

static void put_service(struct ik_ipvs_service *out, const struct ik_ipvs_service *row)
{
    memset(out, 0, sizeof *out);
    out->present = row->present & KEY_ATTRIBUTES;
    out->family = row->family;
    out->protocol = row->protocol;
    out->port = row->port;
    out->fwmark = row->fwmark;
    memcpy(out->address, row->address, sizeof out->address);
}

static void put_identity(struct ik_ipvs_real *out, const struct ik_ipvs_real *row)
{
    memset(out, 0, sizeof *out);
    out->present = REAL_IDENTITY;
    out->family = row->family;
    out->port = row->port;
    memcpy(out->address, row->address, sizeof out->address);
}

void ik_ipvs_pair_requests(uint32_t command, const struct ik_ipvs_service_row *services, const struct ik_ipvs_real *rows, int identity_only,
                           const struct ik_ipvs_pair *pairs, size_t count, struct ik_ipvs_request *out)
{
    for (size_t i = 0; i < count; i++) {
        out[i].command = command;
        out[i].flags = 0;
        put_service(&out[i].service, &services[pairs[i].service].service);
        if (identity_only) {
            put_identity(&out[i].part.real, rows + pairs[i].held);
        } else {
            out[i].part.real = rows[pairs[i].wanted];
            out[i].part.real.index = 0;
        }
    }
}

void ik_ipvs_member_requests(uint32_t command, const struct ik_ipvs_service *services, const struct ik_ipvs_real *reals, const uint32_t *counts,
                             size_t count, struct ik_ipvs_request *out)
{
    for (size_t i = 0; i < count; i++) {
        for (uint32_t j = 0; j < counts[i]; j++, reals++, out++) {
            out->command = command;
            out->flags = 0;
            put_service(&out->service, services + i);
            out->part.real = *reals;
            out->part.real.index = 0;
        }
    }
}
