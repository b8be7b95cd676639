/* A table of elements: packed records with a key, and options beside it when any element has some.
 *
 * Knows: layout, hashing, set algebra. Must not know: netlink, text, Python.
 *
 * A record is the key (see ik_shape.h) and, once any element came with options, `present` and a column for each option that any element has: the
 * layout widens when the first such element comes. So a million of hash:ip take 4 bytes each. Comments are in a heap of their own. The hash index is
 * made when it is first needed, and holds record numbers.
 *
 * Not for two threads at once, not even for reading: a question may make the index.
 */
#ifndef IK_ELEMENTS_H
#define IK_ELEMENTS_H

#include "ik_element.h"

struct ik_elements;

enum ik_compare {
    IK_ONLY_HERE,  /* not in the other one */
    IK_IN_BOTH,    /* in both */
    IK_DIFFERENT,  /* in both, with other options */
};

/* NULL when there is no memory, or the shape has no meaning. */
struct ik_elements *ik_elements_new(const struct ik_shape *shape);
void ik_elements_free(struct ik_elements *table);
const struct ik_shape *ik_elements_shape(const struct ik_elements *table);
size_t ik_elements_count(const struct ik_elements *table);
size_t ik_elements_memory(const struct ik_elements *table); /* bytes held */
/* Another shape with the same parts and family, for what comes from now on: 0, -EINVAL. */
int ik_elements_reshape(struct ik_elements *table, const struct ik_shape *shape);
uint32_t ik_elements_options(const struct ik_elements *table); /* bits of present that any element may have */
int ik_elements_reserve(struct ik_elements *table, size_t count);
void ik_elements_clear(struct ik_elements *table);

/* At the end, whether it is there or not: for what comes from a kernel, and for what goes to one. 0, -ENOMEM. */
int ik_elements_append(struct ik_elements *table, const struct ik_element *element);
/* 1: added; 0: was there, now with these options; -ENOMEM. */
int ik_elements_put(struct ik_elements *table, const struct ik_element *element);
/* The record number, or -1; -ENOMEM when the index cannot be made. */
long ik_elements_find(struct ik_elements *table, const struct ik_element *element);
/* After elements were appended that may be there twice: each stays once, where it was first, with its last options. */
int ik_elements_settle(struct ik_elements *table);
/* 1: removed; 0: was not there. The last record takes its place, in lists of sets all behind it move up. */
int ik_elements_remove(struct ik_elements *table, const struct ik_element *element);
/* The element of this number, which must be less than the count; its comment points into the table. */
void ik_elements_get(const struct ik_elements *table, size_t number, struct ik_element *out);

/* The same into one that had another element of the same table in it before, or nothing but zeros: what none of them has is not written again. */
void ik_elements_get_next(const struct ik_elements *table, size_t number, struct ik_element *out);

/* By key, as numbers. */
int ik_elements_sort(struct ik_elements *table);
/* Into `out` (empty, of the same shape): those of `table` that are so in respect of `other`; `options` are those to be compared. */
int ik_elements_select(struct ik_elements *table, struct ik_elements *other, int which, uint32_t options, struct ik_elements *out);
/* Those of `table` whose timeouts in `other` are to be set anew: less than `below` seconds are left of more, or only one of both lasts for ever. */
int ik_elements_expiring(struct ik_elements *table, struct ik_elements *other, uint32_t below, struct ik_elements *out);

/* The same three at one go, into three tables: what only `table` has, what only `other` has, and what of `table` has other options there. */
int ik_elements_diff(struct ik_elements *table, struct ik_elements *other, uint32_t options, struct ik_elements *added,
                     struct ik_elements *removed, struct ik_elements *changed);
/* Into `out`, of any shape with the same parts and family: all of `table`, with only these options. */
int ik_elements_copy(const struct ik_elements *table, uint32_t options, struct ik_elements *out);
/* Puts all of `from` (see ik_elements_put): 0, -EINVAL, -ENOMEM. */
int ik_elements_merge(struct ik_elements *table, struct ik_elements *from);
/* 1: same keys with the same options (of these); 0; -ENOMEM */
int ik_elements_equal(struct ik_elements *table, struct ik_elements *other, uint32_t options);

struct ik_text_result {
    uint64_t lines;
    uint64_t changed;
    uint64_t faults;
};

/* Text, a line for each: elements are normalised (`most` of one line) and put, or appended as they stand. Empty lines and those that begin with # are
 * nothing. Faults are counted and the first `room` of them told; their lines are left out. The number of lines; -ENOMEM. */
enum ik_intake {
    IK_PUT,
    IK_APPEND,
    IK_REMOVE,
    /* with one of the others: */
    IK_EVERY_LINE = 8, /* a line that is nothing is a fault too */
    IK_STOP = 16,      /* nothing is taken from the first fault on */
};
int ik_elements_parse(struct ik_elements *table, int intake, uint64_t most, const char *text, size_t length, struct ik_fault *faults,
                      size_t room, struct ik_text_result *result);
/* Lines into elements as the kernel would list them, appended whether they are there or not: so that each stays one of its own line. Line i made the elements
 * up to number ends[i], or none, because of faults[i] (code 0: none). Stops behind the line that fills the table up to `limit`, and after `room` lines.
 * How many lines were taken, and of how many bytes; -ENOMEM. */
long ik_elements_expand(struct ik_elements *table, uint64_t most, const char *text, size_t length, uint32_t *ends, struct ik_fault *faults,
                        size_t room, size_t limit, size_t *taken);
/* Into `table`, of the same parts and family: all of `from`, normalised anew. At the first fault: -EINVAL, and fault->line is its number. */
int ik_elements_adopt(struct ik_elements *table, const struct ik_elements *from, int intake, uint64_t most, struct ik_fault *fault,
                      struct ik_text_result *result);
/* 1: every element that this text stands for is there; 0; -EINVAL and *fault; -ENOMEM. */
long ik_elements_contains(struct ik_elements *table, const char *text, size_t length, struct ik_fault *fault);
/* Lines `prefix` element, from `start` on: how many fitted; *used bytes. */
size_t ik_elements_format(const struct ik_elements *table, size_t start, const char *prefix, size_t prefix_length, char *out, size_t room,
                          size_t *used);

/* Flat rows for Python; comments one after the other in `comments`. How many rows fitted. */
struct ik_element_row {
    uint32_t present; uint32_t timeout;
    uint8_t address[2][16];
    uint8_t last[2][16];
    uint8_t prefix[2]; uint8_t protocol; uint8_t physdev; uint8_t port[2]; uint8_t last_port[2];
    uint32_t mark; uint8_t mac[6]; uint16_t skbqueue; uint64_t packets; uint64_t bytes; uint32_t skbmark; uint32_t skbmask;
    uint32_t skbprio; uint32_t comment_length; char name[IK_NAME]; char reference[IK_NAME];
};
size_t ik_elements_rows(const struct ik_elements *table, size_t start, size_t count, struct ik_element_row *out, char *comments, size_t room,
                        size_t *used);

#endif
