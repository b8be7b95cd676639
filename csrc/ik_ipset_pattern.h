/* Elements that look like the one before: only their values are read.
 *
 * Knows: where in the bytes of an element each value stands, once one was seen. Must not know: dumps, sockets.
 */
#ifndef IK_IPSET_PATTERN_H
#define IK_IPSET_PATTERN_H

#include "ik_buf.h"
#include "ik_elements_private.h"

enum { IK_PATTERN_HEADERS = 16 };

struct ik_pattern {
    size_t length;    /* of the element's attributes; 0: there is no pattern */
    uint32_t present; /* of every such element */
    uint32_t options; /* of the table's layout that it was made for */
    uint32_t headers;
    uint32_t count;
    uint16_t places[IK_PATTERN_HEADERS]; /* of the attributes' headers */
    uint32_t words[IK_PATTERN_HEADERS];  /* and what stands there */
    uint16_t prefixes[2];                /* places of prefix lengths; 0: there are no more */
    uint8_t longest;                     /* that these may be */
    struct ik_move moves[IK_MOVES];      /* from the payload (`element`) to the record */
};

/* From an element that was just appended to the table. Where a value decides on more than its own field, there is no pattern. */
void ik_pattern_learn(struct ik_pattern *pattern, const struct ik_elements *table, struct ik_reader payload, uint32_t present);

/* Appends the element if it is like the pattern: 1; 0: it is not; -ENOMEM. */
int ik_pattern_append(const struct ik_pattern *pattern, struct ik_elements *table, const struct ik_reader *payload);

#endif
