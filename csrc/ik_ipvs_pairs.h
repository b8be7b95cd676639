/* Which real servers are to be added, changed and removed, and the requests that do it, without making values of any.
 *
 * Knows: rows, wanted records, and the order in which changes are made. Must not know: messages, policy.
 */
#ifndef IK_IPVS_PAIRS_H
#define IK_IPVS_PAIRS_H

#include <stddef.h>
#include <stdint.h>

#include "ik_ipvs.h"

/* One real server that differs: its service, and its rows among all that are held and all that are wanted (IK_NO_ROW: it has none there). */
struct ik_ipvs_pair {
    uint32_t service;
    uint32_t held;
    uint32_t wanted;
};

#define IK_NO_ROW UINT32_MAX

enum ik_ipvs_pair_kind {
    IK_PAIR_ADD,
    IK_PAIR_RAISE, /* changed, and not to a lower weight */
    IK_PAIR_LOWER,
    IK_PAIR_REMOVE,
    IK_PAIR_KINDS,
};

/* What is held and what is wanted, side by side, as for ik_ipvs_differing. */
struct ik_ipvs_sides {
    const struct ik_ipvs_real *reals;
    const uint32_t *counts;
    const struct ik_ipvs_real *wanted;
    const uint32_t *wanted_counts;
    size_t services;
};

/* The pairs of the `chosen` services whose numbers are in `order`, in that order. `found` gets the number of each kind. Where `out` is given it has
 * room for all of them, kind after kind. 0, -ENOMEM. */
int ik_ipvs_pairs(const struct ik_ipvs_sides *sides, const uint32_t *order, size_t chosen, struct ik_ipvs_pair *out,
                  uint32_t found[IK_PAIR_KINDS]);

/* A request with this command for each pair, about the real server's row in `rows`: the wanted one, or with `identity_only` the held one's identity. */
void ik_ipvs_pair_requests(uint32_t command, const struct ik_ipvs_service_row *services, const struct ik_ipvs_real *rows, int identity_only,
                           const struct ik_ipvs_pair *pairs, size_t count, struct ik_ipvs_request *out);

/* A request with this command for each real server of services that stand one behind the other, counts[i] of them for service i. */
void ik_ipvs_member_requests(uint32_t command, const struct ik_ipvs_service *services, const struct ik_ipvs_real *reals, const uint32_t *counts,
                             size_t count, struct ik_ipvs_request *out);

#endif
