/* Invariant: any text becomes an element or a fault within it; the element's text is read as the same element; and whatever the kernel makes
 * of it has a text as well, and is made of itself alone.
 *
 * Knows: ik_element.h, the shapes of the types there are. Must not know: tables. Input: type, flags and a number for the set; then the text.
 */
#include "fuzz.h"

#include "../ik_element.h"

#include <netinet/in.h>

enum {
    MOST = 300,
    INET6 = 1, /* flags of the input */
    STRICT = 2,
    TIMEOUT = 4,
    MASKED = 8,
    MANY = 16,
    OPTIONS = IK_HAS_TIMEOUT | IK_HAS_PACKETS | IK_HAS_BYTES | IK_HAS_COMMENT | IK_HAS_SKBMARK | IK_HAS_SKBPRIO | IK_HAS_SKBQUEUE,
};

static const struct type {
    uint8_t parts[IK_PARTS];
    uint32_t flags;
    uint32_t options;
} types[16] = {
    {{IK_PART_ADDRESS}, IK_SHAPE_RANGES | IK_SHAPE_BOUNDED, 0},                         /* bitmap:ip */
    {{IK_PART_ADDRESS, IK_PART_MAC}, IK_SHAPE_BOUNDED | IK_SHAPE_MAC_IS_VALUE, 0},      /* bitmap:ip,mac */
    {{IK_PART_NUMBER}, IK_SHAPE_BOUNDED, 0},                                            /* bitmap:port */
    {{IK_PART_ADDRESS}, IK_SHAPE_RANGES | IK_SHAPE_NO_NULL, 0},                         /* hash:ip */
    {{IK_PART_MAC}, 0, 0},                                                              /* hash:mac */
    {{IK_PART_ADDRESS, IK_PART_MAC}, 0, 0},                                             /* hash:ip,mac */
    {{IK_PART_ADDRESS, IK_PART_MARK}, IK_SHAPE_RANGES, 0},                              /* hash:ip,mark */
    {{IK_PART_ADDRESS, IK_PART_PORT}, IK_SHAPE_RANGES | IK_SHAPE_NO_NULL, 0},           /* hash:ip,port */
    {{IK_PART_ADDRESS, IK_PART_PORT, IK_PART_ADDRESS}, IK_SHAPE_RANGES, 0},             /* hash:ip,port,ip */
    {{IK_PART_ADDRESS, IK_PART_PORT, IK_PART_NET}, IK_SHAPE_RANGES, IK_HAS_NOMATCH},    /* hash:ip,port,net */
    {{IK_PART_NET}, 0, IK_HAS_NOMATCH},                                                 /* hash:net */
    {{IK_PART_NET, IK_PART_NET}, 0, IK_HAS_NOMATCH},                                    /* hash:net,net */
    {{IK_PART_NET, IK_PART_PORT}, 0, IK_HAS_NOMATCH},                                   /* hash:net,port */
    {{IK_PART_NET, IK_PART_PORT, IK_PART_NET}, IK_SHAPE_ZERO_PREFIX, IK_HAS_NOMATCH},   /* hash:net,port,net */
    {{IK_PART_NET, IK_PART_INTERFACE}, IK_SHAPE_ZERO_PREFIX, IK_HAS_NOMATCH | IK_HAS_WILDCARD},
    {{IK_PART_SET}, 0, IK_HAS_BEFORE | IK_HAS_AFTER},
};

static void make_shape(const uint8_t *data, struct ik_shape *shape)
{
    const struct type *type = &types[data[0] % 16];
    uint8_t flags = data[1];
    uint8_t number = data[2];

    memset(shape, 0, sizeof(*shape));
    memcpy(shape->parts, type->parts, sizeof(type->parts));
    shape->flags = type->flags;
    shape->options = type->options | OPTIONS;
    if (shape->parts[0] == IK_PART_ADDRESS || shape->parts[0] == IK_PART_NET) {
        shape->family = (flags & INET6) != 0 && (type->flags & IK_SHAPE_BOUNDED) == 0 ? AF_INET6 : AF_INET;
    }
    shape->flags |= flags & STRICT ? IK_SHAPE_STRICT | IK_SHAPE_COUNTERS : 0;
    shape->flags |= flags & TIMEOUT ? IK_SHAPE_TIMEOUT : 0;
    shape->timeout = number;
    shape->markmask = flags & MASKED ? number * 0x01010101u : 0;
    if ((flags & MASKED) != 0 && shape->family != 0) {
        shape->flags |= IK_SHAPE_MASKED;
        for (unsigned i = 0; i < number && i < 128; i++) {
            shape->mask[i / 8] |= (uint8_t)(0x80 >> i % 8);
        }
        shape->mask[3] |= number & 128 ? 1 : 0;
    }
    shape->low[0] = number & 1 ? 10 : 0;
    memset(shape->high, number & 2 ? 10 : 255, sizeof(shape->high));
}

static int same(const struct ik_element *one, const struct ik_element *other)
{
    struct ik_element left;
    struct ik_element right;

    memcpy(&left, one, sizeof(left));
    memcpy(&right, other, sizeof(right));
    left.comment = NULL;
    right.comment = NULL;
    return memcmp(&left, &right, sizeof(left)) == 0 &&
           (left.comment_length == 0 || memcmp(one->comment, other->comment, left.comment_length) == 0);
}

/* In memory of exactly its length; the caller frees it. */
static char *write_text(const struct ik_shape *shape, const struct ik_element *element, size_t *length)
{
    char roomy[IK_ELEMENT_TEXT];

    *length = ik_element_format(shape, element, roomy, sizeof(roomy));
    HOLDS(*length > 0 && *length < sizeof(roomy));
    char *text = room_for(*length, 1);
    HOLDS(ik_element_format(shape, element, text, *length - 1) == 0);
    HOLDS(ik_element_format(shape, element, text, *length) == *length);
    HOLDS(memcmp(text, roomy, *length) == 0);
    return text;
}

static char *read_again(const struct ik_shape *shape, const struct ik_element *element, struct ik_element *again)
{
    struct ik_fault fault = {0};
    size_t length;
    char *text = write_text(shape, element, &length);

    if (ik_element_parse(shape, text, length, again, &fault) != 0 || !same(element, again)) {
        fprintf(stderr, "text: %.*s, fault %u at %u\n", (int)length, text, fault.code, fault.offset);
        HOLDS(0);
    }
    return text;
}

struct seen {
    const struct ik_shape *shape;
    struct ik_element last;
    const struct ik_element *expected; /* itself alone, or NULL */
    uint64_t count;
};

static int look(void *context, const struct ik_element *element)
{
    struct seen *seen = context;

    seen->count++;
    if (seen->expected != NULL) {
        HOLDS(same(element, seen->expected));
        return 0;
    }
    HOLDS((element->present & IK_HAS_RANGE) == 0);
    HOLDS(seen->count == 1 || !same(element, &seen->last));
    memcpy(&seen->last, element, sizeof(seen->last));
    struct ik_element again;
    struct ik_fault fault = {0};
    struct seen inner = {.shape = seen->shape, .expected = element};
    char *text = read_again(seen->shape, element, &again);
    HOLDS(ik_element_normalise(seen->shape, &again, 1, look, &inner, &fault) == 0);
    HOLDS(inner.count == 1);
    free(text);
    return 0;
}

static void normalise(const struct ik_shape *shape, const struct ik_element *element, uint64_t most)
{
    struct ik_fault fault = {0};
    struct seen seen = {.shape = shape};
    int result = ik_element_normalise(shape, element, most, look, &seen, &fault);

    HOLDS(result == 0 ? seen.count > 0 && seen.count <= most : seen.count == 0);
    HOLDS(result == 0 || (fault.code > IK_FAULT_NONE && fault.code <= IK_FAULT_TWICE && fault.length == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ik_shape shape;
    struct ik_element element;
    struct ik_element again;
    struct ik_fault fault = {0};

    if (size < 3) {
        return 0;
    }
    make_shape(data, &shape);
    const char *text = (const char *)data + 3;
    if (ik_element_parse(&shape, text, size - 3, &element, &fault) != 0) {
        HOLDS(fault.code > IK_FAULT_NONE && fault.code <= IK_FAULT_TWICE);
        HOLDS(fault.offset <= size - 3 && fault.length <= size - 3 - fault.offset);
        return 0;
    }
    free(read_again(&shape, &element, &again));
    normalise(&shape, &element, data[1] & MANY ? MOST : 3);
    return 0;
}
