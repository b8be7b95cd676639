/* What comparing and pairing rows have in common. Knows: rows. Must not know: requests. */
#ifndef IK_IPVS_COMPARE_PRIVATE_H
#define IK_IPVS_COMPARE_PRIVATE_H

#include <stdbool.h>

#include "ik_ipvs_compare.h"

/* The order of real servers by what identifies them. */
int ik_ipvs_by_place(const struct ik_ipvs_real *a, const struct ik_ipvs_real *b);

/* The same for pointers to pointers, as qsort has them. */
int ik_ipvs_by_place_of(const void *a, const void *b);

/* Whether a held real server is as the wanted one, kept fields aside. */
bool ik_ipvs_same_real(const struct ik_ipvs_real *held, const struct ik_ipvs_real *wanted);

#endif
