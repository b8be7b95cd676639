/* Knows: what the kernel makes of ranges, networks and masks. Must not know: text, what else it refuses. See ik_element.h. */
#include "ik_element_private.h"

#include <errno.h>
#include <netinet/in.h>

enum { FIRST, SECOND, PORTS, AXES };

/* One direction in which an element is a range: IPv4 addresses, networks, ports. */
struct axis {
    uint64_t from;
    uint64_t to;
    uint64_t step; /* 0: networks */
    uint64_t count;
    uint32_t mask;
    bool used;
};

struct plan {
    const struct ik_shape *shape;
    struct ik_element element; /* what is emitted: only what ranges is written anew */
    struct axis axes[AXES];
    ik_emit emit;
    void *context;
};

/* The last address of the largest network that begins at `from` and does not reach beyond `to`: never 0.0.0.0/0. The kernel compares by the
 * sign of the difference, so behind a network that leaves more than half of all addresses it sees the end passed, and takes single ones. */
static uint32_t next_net(uint32_t from, uint32_t to, uint8_t *prefix)
{
    for (unsigned i = 1; i < 32; i++) {
        uint32_t host = UINT32_MAX >> i;
        if ((from & host) == 0 && to - (from | host) <= INT32_MAX) {
            *prefix = (uint8_t)i;
            return from | host;
        }
    }
    *prefix = 32;
    return from;
}

static uint64_t count_nets(uint64_t from, uint64_t to, uint64_t most)
{
    uint64_t count = 0;
    uint8_t prefix;

    while (from <= to && count <= most) {
        from = (uint64_t)next_net((uint32_t)from, (uint32_t)to, &prefix) + 1;
        count++;
    }
    return count;
}

static void order(uint64_t *from, uint64_t *to)
{
    if (*from > *to) {
        uint64_t other = *from;
        *from = *to;
        *to = other;
    }
}

/* The addresses themselves. A range under a netmask is a step for each block. In bitmaps the kernel steps from the first address, elsewhere
 * from the beginning of its block. */
static enum ik_fault_code plan_addresses(struct plan *plan, struct axis *axis)
{
    const struct ik_shape *shape = plan->shape;
    const uint32_t mask = shape->flags & IK_SHAPE_MASKED ? ik_load32(shape->mask) : UINT32_MAX;
    const uint32_t host = ~mask;

    if ((shape->flags & IK_SHAPE_RANGES) == 0 || (host & (host + 1)) != 0) {
        return IK_FAULT_RANGE; /* with holes in the mask the kernel lists what no packet can match */
    }
    axis->used = true;
    axis->mask = mask;
    axis->step = (uint64_t)host + 1;
    if ((shape->flags & IK_SHAPE_BOUNDED) == 0) {
        axis->from &= mask;
    }
    axis->count = (axis->to - axis->from) / axis->step + 1;
    return IK_FAULT_NONE;
}

static enum ik_fault_code plan_nets(struct plan *plan, struct axis *axis, uint64_t most)
{
    if (axis->to - axis->from == UINT32_MAX) {
        return IK_FAULT_WHOLE;
    }
    if (plan->shape->flags & IK_SHAPE_MASKED) {
        return IK_FAULT_RANGE; /* the kernel does not mask these, so that no packet can match them */
    }
    axis->used = true;
    axis->step = 0;
    axis->count = count_nets(axis->from, axis->to, most);
    return IK_FAULT_NONE;
}

static enum ik_fault_code plan_place(struct plan *plan, int slot, uint8_t part, uint64_t most)
{
    struct axis *axis = &plan->axes[slot];

    if ((plan->element.present & (slot == FIRST ? IK_HAS_LAST : IK_HAS_LAST2)) == 0) {
        return IK_FAULT_NONE;
    }
    if (plan->shape->family != AF_INET || (slot != FIRST && part != IK_PART_NET)) {
        return IK_FAULT_RANGE;
    }
    axis->from = ik_load32(plan->element.address[slot]);
    axis->to = ik_load32(plan->element.last[slot]);
    order(&axis->from, &axis->to);
    return part == IK_PART_NET ? plan_nets(plan, axis, most) : plan_addresses(plan, axis);
}

static void plan_ports(struct plan *plan)
{
    struct axis *axis = &plan->axes[PORTS];

    if ((plan->element.present & IK_HAS_LAST_PORT) == 0) {
        return;
    }
    axis->from = ik_load16(plan->element.port);
    axis->to = ik_load16(plan->element.last_port);
    order(&axis->from, &axis->to);
    axis->step = 1;
    axis->count = axis->to - axis->from + 1;
    axis->used = true;
}

/* Where anything ranges, the kernel splits every IPv4 network as if it were a range. That gives the network again, but of 0.0.0.0/0 it makes
 * more than any set holds. */
static void plan_zero_prefix(struct plan *plan, int slot, uint64_t most)
{
    struct axis *axis = &plan->axes[slot];

    if (axis->used || plan->element.prefix[slot] != 0 || plan->shape->family != AF_INET) {
        return;
    }
    if (plan->axes[FIRST].used || plan->axes[SECOND].used || plan->axes[PORTS].used) {
        axis->used = true;
        axis->step = 0;
        axis->from = 0;
        axis->to = UINT32_MAX;
        axis->count = count_nets(0, UINT32_MAX, most);
    }
}

/* The kinds of the two addresses; IK_PART_NONE where there is none. */
static void find_places(const struct ik_shape *shape, uint8_t kinds[2])
{
    int count = 0;

    for (int i = 0; i < IK_PARTS; i++) {
        if ((shape->parts[i] == IK_PART_ADDRESS || shape->parts[i] == IK_PART_NET) && count < 2) {
            kinds[count++] = shape->parts[i];
        }
    }
}

static enum ik_fault_code plan_axes(struct plan *plan, const uint8_t kinds[2], uint64_t most)
{
    for (int slot = FIRST; slot <= SECOND; slot++) {
        enum ik_fault_code code = plan_place(plan, slot, kinds[slot], most);
        if (code != IK_FAULT_NONE) {
            return code;
        }
    }
    plan_ports(plan);
    for (int slot = FIRST; slot <= SECOND; slot++) {
        if (kinds[slot] == IK_PART_NET) {
            plan_zero_prefix(plan, slot, most);
        }
    }
    return IK_FAULT_NONE;
}

static bool too_many(const struct plan *plan, uint64_t most)
{
    uint64_t total = 1;

    for (int i = 0; i < AXES; i++) {
        if (plan->axes[i].used) {
            if (plan->axes[i].count > most / total) {
                return true;
            }
            total *= plan->axes[i].count;
        }
    }
    return total > most;
}

static void mask_bytes(uint8_t *address, const uint8_t *mask, size_t width)
{
    for (size_t i = 0; i < width; i++) {
        address[i] &= mask[i];
    }
}

/* Networks lose their host bits, and every address what the mask of the set hides; but for those that range. */
static void cut_places(struct plan *plan, const uint8_t kinds[2])
{
    const size_t width = ik_width(plan->shape);

    for (int slot = FIRST; slot <= SECOND && kinds[slot] != IK_PART_NONE; slot++) {
        if (plan->axes[slot].used) {
            continue;
        }
        if (kinds[slot] == IK_PART_NET) {
            ik_cut_address(plan->element.address[slot], width, plan->element.prefix[slot]);
        }
        if (plan->shape->flags & IK_SHAPE_MASKED) {
            mask_bytes(plan->element.address[slot], plan->shape->mask, width);
        }
    }
}

static bool is_outside(const struct ik_shape *shape, const uint8_t *value, size_t width)
{
    uint8_t low[16];
    uint8_t high[16];
    uint8_t own[16];

    memcpy(low, shape->low, width);
    memcpy(high, shape->high, width);
    memcpy(own, value, width);
    if (shape->flags & IK_SHAPE_MASKED) {
        mask_bytes(low, shape->mask, width);
        mask_bytes(high, shape->mask, width);
        mask_bytes(own, shape->mask, width);
    }
    return memcmp(own, low, width) < 0 || memcmp(own, high, width) > 0;
}

static enum ik_fault_code check_bounds(const struct plan *plan)
{
    const struct ik_shape *shape = plan->shape;
    const struct ik_element *element = &plan->element;
    bool number = shape->parts[0] == IK_PART_NUMBER;
    size_t width = number ? 2 : ik_width(shape);
    const uint8_t *first = number ? element->port : element->address[FIRST];
    const uint8_t *last = number ? element->last_port : element->last[FIRST];

    if ((shape->flags & IK_SHAPE_BOUNDED) == 0) {
        return IK_FAULT_NONE;
    }
    if (is_outside(shape, first, width)) {
        return IK_FAULT_OUTSIDE;
    }
    return plan->axes[number ? PORTS : FIRST].used && is_outside(shape, last, width) ? IK_FAULT_OUTSIDE : IK_FAULT_NONE;
}

static enum ik_fault_code check_null(const struct plan *plan)
{
    static const uint8_t zero[16];
    const uint8_t *address = plan->element.address[FIRST];
    bool null = plan->axes[FIRST].used ? plan->axes[FIRST].from == 0 : memcmp(address, zero, ik_width(plan->shape)) == 0;

    return (plan->shape->flags & IK_SHAPE_NO_NULL) != 0 && null ? IK_FAULT_NULL : IK_FAULT_NONE;
}

static int emit_ports(struct plan *plan)
{
    const struct axis *axis = &plan->axes[PORTS];

    if (!axis->used) {
        return plan->emit(plan->context, &plan->element);
    }
    for (uint64_t port = axis->from; port <= axis->to; port++) {
        ik_store16(plan->element.port, (uint16_t)port);
        int result = plan->emit(plan->context, &plan->element);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static int emit_place(struct plan *plan, int slot);

static int emit_inner(struct plan *plan, int slot) { return slot == SECOND ? emit_ports(plan) : emit_place(plan, SECOND); }

static int emit_place(struct plan *plan, int slot)
{
    const struct axis *axis = &plan->axes[slot];
    uint64_t address = axis->from;
    uint64_t next;

    if (!axis->used) {
        return emit_inner(plan, slot);
    }
    for (; address <= axis->to; address = next) {
        if (axis->step == 0) {
            next = (uint64_t)next_net((uint32_t)address, (uint32_t)axis->to, &plan->element.prefix[slot]) + 1;
            ik_store32(plan->element.address[slot], (uint32_t)address);
        } else {
            next = address + axis->step;
            ik_store32(plan->element.address[slot], (uint32_t)address & axis->mask);
        }
        int result = emit_inner(plan, slot);
        if (result != 0) {
            return result;
        }
    }
    return 0;
}

static enum ik_fault_code prepare(struct plan *plan, uint64_t most)
{
    uint8_t kinds[2] = {IK_PART_NONE, IK_PART_NONE};
    enum ik_fault_code code = ik_check_element(plan->shape, &plan->element);

    find_places(plan->shape, kinds);
    if (code == IK_FAULT_NONE && (plan->element.present & IK_HAS_RANGE) != 0) {
        code = plan_axes(plan, kinds, most);
    }
    if (code == IK_FAULT_NONE) {
        code = check_bounds(plan);
    }
    if (code != IK_FAULT_NONE) {
        return code;
    }
    cut_places(plan, kinds);
    code = check_null(plan);
    return code == IK_FAULT_NONE && too_many(plan, most) ? IK_FAULT_TOO_MANY : code;
}

/* No range is left in what is emitted. */
static void forget_ranges(struct ik_element *element)
{
    element->present &= ~(uint32_t)IK_HAS_RANGE;
    memset(element->last, 0, sizeof(element->last));
    memset(element->last_port, 0, sizeof(element->last_port));
}

int ik_element_normalise(const struct ik_shape *shape, const struct ik_element *element, uint64_t most, ik_emit emit, void *context,
                         struct ik_fault *fault)
{
    struct plan plan; /* of the axes only what is used is written */
    enum ik_fault_code code;

    plan.shape = shape;
    plan.emit = emit;
    plan.context = context;
    ik_copy_element(&plan.element, element);
    for (int i = 0; i < AXES; i++) {
        plan.axes[i].used = false;
    }
    code = prepare(&plan, most);
    if (code != IK_FAULT_NONE) {
        *fault = (struct ik_fault){.code = code};
        return -EINVAL;
    }
    forget_ranges(&plan.element);
    return emit_place(&plan, FIRST);
}
