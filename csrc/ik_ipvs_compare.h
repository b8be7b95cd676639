/* Comparing what the kernel holds with what is wanted, row by row, so that only what differs need become values.
 *
 * Knows: which fields of a row are configuration, and what counts as equal. Must not know: messages, what is done about a difference.
 *
 * Wanted records are those of requests, with the bits of enum ik_ipvs_keep in `index`: such fields are not compared.
 */
#ifndef IK_IPVS_COMPARE_H
#define IK_IPVS_COMPARE_H

#include <stddef.h>
#include <stdint.h>

#include "ik_ipvs.h"

enum ik_ipvs_keep {
    IK_KEEP_SCHEDULER = 1,
    IK_KEEP_FLAGS = 2,
    IK_KEEP_TIMEOUT = 4,
    IK_KEEP_NETMASK = 8,
    IK_KEEP_ENGINE = 16,
    IK_KEEP_ONE_PACKET = 32,
    IK_KEEP_REALS = 64,
    IK_KEEP_WEIGHT = 128,
    IK_KEEP_FORWARDING = 256,
    IK_KEEP_UPPER = 512,
    IK_KEEP_LOWER = 1024,
    IK_KEEP_TUNNEL = 2048,
};

enum ik_ipvs_difference {
    IK_SERVICE_DIFFERS = 1,
    IK_REALS_DIFFER = 2,
};

/* In place of a number of wanted real servers: the service is not wanted at all. */
#define IK_NOT_WANTED UINT32_MAX

/* Of rows that answer `services` requests in order: how many answer each, and whether one of those has the place of another. 0, -EBADMSG (rows that
 * answer no request, or out of order), -ENOMEM. What is no configuration, their numbers and connections, is set to 0, so that two readings of the same
 * are the same bytes. */
int ik_ipvs_blocks(struct ik_ipvs_real *rows, size_t length, uint32_t services, uint32_t *counts, uint8_t *repeated);

/* For each of `count` services, held and wanted side by side: in what they differ. `reals` has counts[i] rows of service i, one service behind the
 * other; `wanted_reals` likewise. 0, -ENOMEM. */
int ik_ipvs_differing(const struct ik_ipvs_service_row *held, size_t count, const struct ik_ipvs_real *reals, const uint32_t *counts,
                      const struct ik_ipvs_service *wanted, const struct ik_ipvs_real *wanted_reals, const uint32_t *wanted_counts,
                      uint8_t *differences);

#endif
