/* Invariant: two element tables under any sequence of operations hold what two plain arrays hold, in the same order, and answer alike.
 *
 * Knows: ik_elements.h, and the layout's widening. Must not know: text, netlink. Input: the shape, then operations of some bytes each.
 */
#include "fuzz.h"

#include "../ik_elements_private.h"

#include <netinet/in.h>

enum { MOST = 1200, OPERATIONS = 400, ANY = 0x7FFF & ~IK_HAS_RANGE, NOT_COMPARED = IK_HAS_BEFORE | IK_HAS_AFTER };

/* What an array holds: the same fields, the comment beside them; and what they are made from. The number is the key. */
struct item {
    uint32_t number;
    uint8_t value;
    struct ik_element element;
    char comment[IK_COMMENT];
};

struct model {
    size_t count;
    struct item items[MOST];
};

struct input {
    const uint8_t *data;
    size_t left;
};

struct state {
    struct ik_shape shape;
    struct ik_elements *tables[2];
    struct model models[2];
};

static const struct ik_shape shapes[] = {
    {.family = AF_INET, .parts = {IK_PART_ADDRESS}, .flags = IK_SHAPE_RANGES | IK_SHAPE_NO_NULL},
    {.family = AF_INET6, .parts = {IK_PART_NET}, .flags = 0},
    {.family = AF_INET, .parts = {IK_PART_ADDRESS, IK_PART_PORT}, .flags = 0},
    {.family = AF_INET, .parts = {IK_PART_ADDRESS, IK_PART_MAC}, .flags = IK_SHAPE_MAC_IS_VALUE},
    {.family = 0, .parts = {IK_PART_MAC}, .flags = 0},
    {.family = AF_INET, .parts = {IK_PART_ADDRESS, IK_PART_MARK}, .flags = 0},
    {.family = AF_INET, .parts = {IK_PART_NET, IK_PART_INTERFACE}, .flags = IK_SHAPE_ZERO_PREFIX},
    {.family = AF_INET6, .parts = {IK_PART_NET, IK_PART_PORT, IK_PART_NET}, .flags = IK_SHAPE_ZERO_PREFIX},
    {.family = 0, .parts = {IK_PART_NUMBER}, .flags = 0},
    {.family = 0, .parts = {IK_PART_SET}, .flags = 0},
};

static uint32_t take(struct input *input, size_t bytes)
{
    uint32_t value = 0;

    for (; bytes > 0; bytes--) {
        value = value << 8 | (input->left > 0 ? *input->data : 0);
        input->data += input->left > 0;
        input->left -= input->left > 0;
    }
    return value;
}

static void fill_key(const struct ik_shape *shape, uint32_t number, struct ik_element *out)
{
    const uint8_t high = (uint8_t)(number >> 8), low = (uint8_t)number;
    size_t place = 0;
    for (size_t i = 0; i < IK_PARTS; i++) {
        switch (shape->parts[i]) {
        case IK_PART_ADDRESS:
        case IK_PART_NET:
            out->address[place][0] = high;
            out->address[place][3] = low;
            out->prefix[place++] = shape->parts[i] == IK_PART_NET ? (uint8_t)(low & 31) : 0;
            break;
        case IK_PART_PORT:
        case IK_PART_NUMBER:
            out->protocol = shape->parts[i] == IK_PART_PORT ? 6 + (high & 1) : 0;
            out->port[0] = high;
            out->port[1] = low;
            break;
        case IK_PART_MARK:
            out->mark = number * 65537;
            break;
        case IK_PART_MAC:
            memcpy(out->mac, shape->flags & IK_SHAPE_MAC_IS_VALUE ? "\0" : (const char[]){(char)high, (char)low}, 2);
            break;
        case IK_PART_INTERFACE:
            out->physdev = high & 1;
            snprintf(out->name, IK_INTERFACE, "if%u", low);
            break;
        case IK_PART_SET:
            snprintf(out->name, IK_NAME, "set-%u", number);
            break;
        default:
            break;
        }
    }
}

static void fill_options(uint32_t present, uint8_t value, struct ik_element *out)
{
    out->present = present;
    out->timeout = present & IK_HAS_TIMEOUT ? value : 0;
    out->packets = present & IK_HAS_PACKETS ? value * UINT64_C(0x100000001) : 0;
    out->bytes = present & IK_HAS_BYTES ? value : 0;
    out->skbmark = present & IK_HAS_SKBMARK ? value : 0;
    out->skbmask = present & IK_HAS_SKBMARK ? value + 1u : 0;
    out->skbprio = present & IK_HAS_SKBPRIO ? value : 0;
    out->skbqueue = present & IK_HAS_SKBQUEUE ? value : 0;
    if (present & IK_HAS_MAC) {
        memset(out->mac, value, sizeof(out->mac));
    }
    if (present & (IK_HAS_BEFORE | IK_HAS_AFTER)) {
        snprintf(out->reference, IK_NAME, "ref-%u", value);
    }
}

static void make_item(const struct ik_shape *shape, uint32_t number, uint32_t present, uint8_t value, struct item *out)
{
    memset(out, 0, sizeof(*out));
    out->number = number;
    out->value = value;
    present &= ANY;
    present &= shape->flags & IK_SHAPE_MAC_IS_VALUE ? UINT32_MAX : ~(uint32_t)IK_HAS_MAC;
    fill_key(shape, number, &out->element);
    fill_options(present, value, &out->element);
    memset(out->comment, 'a' + value % 26, sizeof(out->comment));
    out->element.comment_length = present & IK_HAS_COMMENT ? value : 0;
}

static struct item only(const struct ik_shape *shape, const struct item *item, uint32_t options)
{
    struct item out;

    make_item(shape, item->number, item->element.present & options, item->value, &out);
    return out;
}

static bool same(const struct item *one, const struct item *two)
{
    return memcmp(&one->element, &two->element, offsetof(struct ik_element, comment)) == 0 &&
           memcmp(one->comment, two->comment, one->element.comment_length) == 0;
}

/* Which member a list's element was put before does not count. */
static bool same_options(const struct ik_shape *shape, const struct item *one, const struct item *two, uint32_t options)
{
    struct item here = only(shape, one, options), there = only(shape, two, options);

    memset(here.element.reference, 0, IK_NAME);
    memset(there.element.reference, 0, IK_NAME);
    return same(&here, &there);
}

static size_t model_find(const struct model *model, const struct item *item)
{
    for (size_t i = 0; i < model->count; i++) {
        if (model->items[i].number == item->number) {
            return i;
        }
    }
    return MOST;
}

static int model_put(struct model *model, const struct item *item)
{
    size_t at = model_find(model, item);

    model->items[at < MOST ? at : model->count++] = *item;
    return at == MOST;
}

static int model_remove(struct model *model, const struct item *item, bool ordered)
{
    size_t at = model_find(model, item);

    if (at == MOST) {
        return 0;
    }
    model->count--;
    if (ordered) {
        memmove(&model->items[at], &model->items[at + 1], (model->count - at) * sizeof(*item));
    } else {
        model->items[at] = model->items[model->count];
    }
    return 1;
}

static void model_select(const struct ik_shape *shape, const struct model *model, const struct model *other, int which, uint32_t options,
                         struct model *out)
{
    out->count = 0;
    for (size_t i = 0; i < model->count; i++) {
        size_t at = model_find(other, &model->items[i]);
        bool wanted = which == IK_ONLY_HERE ? at == MOST : at < MOST;
        if (wanted && which == IK_DIFFERENT) {
            wanted = !same_options(shape, &model->items[i], &other->items[at], options);
        }
        if (wanted) {
            out->items[out->count++] = model->items[i];
        }
    }
}

/* By number: in these shapes the key's first bytes decide, but for names, protocols and interfaces. */
static int compare(const void *left, const void *right, void *context)
{
    const struct ik_element *one = &((const struct item *)left)->element, *two = &((const struct item *)right)->element;
    const struct ik_shape *shape = context;
    int order = memcmp(one->address[0], two->address[0], 16);

    order = order == 0 ? one->prefix[0] - two->prefix[0] : order;
    order = order == 0 ? one->protocol - two->protocol : order;
    order = order == 0 ? memcmp(one->port, two->port, 2) : order;
    order = order == 0 && one->mark != two->mark ? (one->mark < two->mark ? -1 : 1) : order;
    if (order == 0 && !(shape->flags & IK_SHAPE_MAC_IS_VALUE)) {
        order = memcmp(one->mac, two->mac, 6);
    }
    order = order == 0 ? one->physdev - two->physdev : order;
    return order == 0 ? memcmp(one->name, two->name, IK_NAME) : order;
}

static void check(struct ik_elements *table, const struct model *model)
{
    HOLDS(ik_elements_count(table) == model->count);
    for (size_t i = 0; i < model->count; i++) {
        struct item found;
        ik_elements_get(table, i, &found.element);
        memcpy(found.comment, found.element.comment_length > 0 ? found.element.comment : "", found.element.comment_length);
        HOLDS(same(&found, &model->items[i]));
        HOLDS((found.element.present & ~ik_elements_options(table)) == 0);
    }
}

static void check_all(struct state *state)
{
    for (size_t i = 0; i < 2; i++) {
        check(state->tables[i], &state->models[i]);
        for (size_t at = 0; at < state->models[i].count; at++) {
            HOLDS(ik_elements_find(state->tables[i], &state->models[i].items[at].element) == (long)at);
        }
    }
}

static struct ik_element pointing(const struct item *item)
{
    struct ik_element element = item->element;

    element.comment = element.comment_length > 0 ? item->comment : "";
    return element;
}

/* Many elements with numbers one after the other, so that index and memory grow. */
static void many(struct state *state, struct input *input, size_t which, bool append)
{
    uint32_t number = take(input, 2), count = take(input, 1), present = take(input, 2);
    uint8_t value = (uint8_t)take(input, 1);
    struct item item;

    for (uint32_t i = 0; i <= count && state->models[which].count < MOST - 1; i++) {
        make_item(&state->shape, append ? (number + i % 96) & 0xFFFF : (number + i) & 0xFFFF, present, (uint8_t)(value + i), &item);
        struct ik_element element = pointing(&item);
        int added = model_put(&state->models[which], &item);
        int result = append ? ik_elements_append(state->tables[which], &element) : ik_elements_put(state->tables[which], &element);
        HOLDS(result == (append ? 0 : added));
    }
    HOLDS(!append || ik_elements_settle(state->tables[which]) == 0);
}

static void single(struct state *state, struct input *input, size_t which, int operation)
{
    uint32_t number = take(input, 2), present = take(input, 2);
    bool ordered = ik_shape_has(&state->shape, IK_PART_SET);
    struct item item;

    make_item(&state->shape, number, present, (uint8_t)take(input, 1), &item);
    struct ik_element element = pointing(&item);
    if (operation == 0 && state->models[which].count < MOST - 1) {
        HOLDS(ik_elements_put(state->tables[which], &element) == model_put(&state->models[which], &item));
    } else if (operation == 1) {
        HOLDS(ik_elements_remove(state->tables[which], &element) == model_remove(&state->models[which], &item, ordered));
    } else {
        size_t at = model_find(&state->models[which], &item);
        HOLDS(ik_elements_find(state->tables[which], &element) == (at == MOST ? -1 : (long)at));
    }
}

static void compare_tables(struct state *state, size_t which, uint32_t options)
{
    static struct model expected;
    struct ik_elements *one = state->tables[which], *two = state->tables[!which], *parts[3];
    const struct model *left = &state->models[which], *right = &state->models[!which];

    options &= ~(uint32_t)NOT_COMPARED;
    for (size_t i = 0; i < 3; i++) {
        parts[i] = ik_elements_new(&state->shape);
    }
    HOLDS(ik_elements_diff(one, two, options, parts[0], parts[1], parts[2]) == 0);
    bool differs = left->count != right->count || ik_elements_count(parts[0]) > 0 || ik_elements_count(parts[2]) > 0;
    HOLDS(ik_elements_equal(one, two, options) == !differs);
    model_select(&state->shape, left, right, IK_ONLY_HERE, options, &expected);
    check(parts[0], &expected);
    model_select(&state->shape, right, left, IK_ONLY_HERE, options, &expected);
    check(parts[1], &expected);
    model_select(&state->shape, left, right, IK_DIFFERENT, options, &expected);
    check(parts[2], &expected);
    for (int i = 0; i < 3; i++) {
        ik_elements_free(parts[i]);
        struct ik_elements *out = ik_elements_new(&state->shape);
        model_select(&state->shape, left, right, i, options, &expected);
        HOLDS(ik_elements_select(one, two, i, options, out) == 0);
        check(out, &expected);
        ik_elements_free(out);
    }
}

static void replace_by_copy(struct state *state, size_t which, uint32_t options)
{
    struct ik_elements *copy = ik_elements_new(&state->shape);
    struct model *model = &state->models[which];

    HOLDS(ik_elements_copy(state->tables[which], options, copy) == 0);
    ik_elements_free(state->tables[which]);
    state->tables[which] = copy;
    for (size_t i = 0; i < model->count; i++) {
        model->items[i] = only(&state->shape, &model->items[i], options);
    }
}

static void merge(struct state *state, size_t which)
{
    if (state->models[0].count + state->models[1].count >= MOST) {
        return;
    }
    HOLDS(ik_elements_merge(state->tables[which], state->tables[!which]) == 0);
    for (size_t i = 0; i < state->models[!which].count; i++) {
        model_put(&state->models[which], &state->models[!which].items[i]);
    }
}

static void step(struct state *state, struct input *input)
{
    uint32_t operation = take(input, 1);
    size_t which = operation >> 7;
    struct model *model = &state->models[which];

    switch (operation % 16) {
    case 3:
        compare_tables(state, which, take(input, 2));
        break;
    case 4:
        HOLDS(ik_elements_sort(state->tables[which]) == 0);
        qsort_r(model->items, model->count, sizeof(model->items[0]), compare, &state->shape);
        break;
    case 5:
        HOLDS(ik_elements_widen(state->tables[which], take(input, 2) & ANY) == 0);
        break;
    case 6:
        replace_by_copy(state, which, take(input, 2));
        break;
    case 7:
        merge(state, which);
        break;
    case 8:
        ik_elements_clear(state->tables[which]);
        model->count = 0;
        break;
    case 9:
        HOLDS(ik_elements_reserve(state->tables[which], take(input, 2) % 4096) == 0);
        break;
    case 10:
    case 11:
    case 12:
        many(state, input, which, operation % 16 == 12);
        break;
    default:
        single(state, input, which, (int)(operation % 16 % 3));
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct state state;
    struct input input = {data, size};
    size_t kind = take(&input, 1) % (sizeof(shapes) / sizeof(shapes[0]));

    state.shape = shapes[kind];
    for (size_t i = 0; i < 2; i++) {
        state.tables[i] = ik_elements_new(&state.shape);
        state.models[i].count = 0;
        HOLDS(state.tables[i] != NULL);
    }
    for (int i = 0; i < OPERATIONS && input.left > 0; i++) {
        step(&state, &input);
    }
    check_all(&state);
    ik_elements_free(state.tables[0]);
    ik_elements_free(state.tables[1]);
    return 0;
}
