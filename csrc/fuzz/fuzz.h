/* What the fuzzers share: libFuzzer's entry and a way to say what must hold.
 *
 * Knows: libFuzzer. Must not know: what is fuzzed.
 *
 * A fuzzer is one file csrc/fuzz/NAME.c with LLVMFuzzerTestOneInput in it and its invariant in a sentence at the top; its seeds are in corpus/NAME. It is
 * linked with all of csrc/ik_*.c, except for those that it includes to get at their static functions. Nothing else needs to know about it.
 */
#ifndef IK_FUZZ_H
#define IK_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* libFuzzer hands over a copy of exactly `size` bytes on the heap, so that AddressSanitizer sees every read beyond them. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(truth)                                                                                                           \
    do {                                                                                                                       \
        if (!(truth)) {                                                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #truth);                                         \
            abort();                                                                                                           \
        }                                                                                                                      \
    } while (0)

/* Memory of exactly this size, so that a write beyond it is seen as well. */
static inline void *room_for(size_t count, size_t size)
{
    void *room = malloc(count * size > 0 ? count * size : 1);

    HOLDS(room != NULL);
    return room;
}

static inline int is_text(const char *text, size_t size) { return memchr(text, 0, size) != NULL; }

#endif
