/* Knows: which attributes are plain values. Must not know: what they mean. See ik_ipset_pattern.h. */
#include "ik_ipset_pattern.h"

#include "ik_ipset_wire.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/socket.h>

enum kind { SPECIAL, PLAIN, PLACE, NUMBER32, NUMBER64 };

struct spec {
    uint8_t kind;
    uint16_t element;
};

#define FIELD(name) offsetof(struct ik_element, name)

/* Everything else is text, or flags. */
static const struct spec specs[] = {
    [IK_D_IP] = {PLACE, FIELD(address)},         [IK_D_IP2] = {PLACE, FIELD(address) + 16},
    [IK_D_CIDR] = {PLAIN, FIELD(prefix)},        [IK_D_CIDR2] = {PLAIN, FIELD(prefix) + 1},
    [IK_D_PORT] = {PLAIN, FIELD(port)},          [IK_D_PROTO] = {PLAIN, FIELD(protocol)},
    [IK_D_ETHER] = {PLAIN, FIELD(mac)},          [IK_D_MARK] = {NUMBER32, FIELD(mark)},
    [IK_D_TIMEOUT] = {NUMBER32, FIELD(timeout)}, [IK_D_PACKETS] = {NUMBER64, FIELD(packets)},
    [IK_D_BYTES] = {NUMBER64, FIELD(bytes)},
};

static bool add_header(struct ik_pattern *pattern, const uint8_t *start, const uint8_t *header)
{
    if (pattern->headers == IK_PATTERN_HEADERS) {
        return false;
    }
    pattern->places[pattern->headers] = (uint16_t)(header - start);
    memcpy(&pattern->words[pattern->headers], header, sizeof(uint32_t));
    pattern->headers++;
    return true;
}

/* Between what the attribute is in and what the record is in: marks are kept in network order, other numbers in the host's. */
static uint16_t turn_of(const struct ik_attr *attr, const struct spec *spec)
{
    bool kept = attr->type == IK_D_MARK;

    if (spec->kind != NUMBER32 && spec->kind != NUMBER64) {
        return IK_PLAIN;
    }
    if (attr->network_order == kept || htonl(1) == 1) {
        return IK_PLAIN;
    }
    return spec->kind == NUMBER32 ? IK_TURN32 : IK_TURN64;
}

static bool add_value(struct ik_pattern *pattern, const struct ik_layout *layout, const struct spec *spec, const struct ik_attr *attr,
                      const uint8_t *start)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct ik_move *to = &layout->moves[i];
        if (to->element != spec->element) {
            continue;
        }
        if (to->size != attr->payload.left || pattern->count == IK_MOVES) {
            return false;
        }
        if (spec->element == FIELD(prefix) || spec->element == FIELD(prefix) + 1) {
            if (pattern->prefixes[1] != 0) {
                return false;
            }
            pattern->prefixes[pattern->prefixes[0] != 0] = (uint16_t)(attr->payload.data - start);
        }
        pattern->moves[pattern->count++] = (struct ik_move){.element = (uint16_t)(attr->payload.data - start),
                                                            .record = to->record,
                                                            .size = to->size,
                                                            .turn = turn_of(attr, spec)};
        return true;
    }
    return true; /* not kept in this table */
}

static bool add_attr(struct ik_pattern *pattern, const struct ik_layout *layout, struct ik_attr *attr, const uint8_t *start)
{
    const struct spec *spec = attr->type < sizeof(specs) / sizeof(specs[0]) ? &specs[attr->type] : &specs[0];
    struct ik_attr inner;

    if (spec->kind == SPECIAL || !add_header(pattern, start, attr->payload.data - IK_ATTR_HEADER)) {
        return false;
    }
    if (spec->kind != PLACE) {
        return add_value(pattern, layout, spec, attr, start);
    }
    return ik_quick_attr(&attr->payload, &inner) > 0 && attr->payload.left == 0 &&
           add_header(pattern, start, inner.payload.data - IK_ATTR_HEADER) && add_value(pattern, layout, spec, &inner, start);
}

void ik_pattern_learn(struct ik_pattern *pattern, const struct ik_elements *table, struct ik_reader payload, uint32_t present)
{
    const uint8_t *start = payload.data;
    const size_t length = payload.left;
    struct ik_attr attr;
    int more = 0;

    memset(pattern, 0, sizeof(*pattern));
    if (length > UINT16_MAX) {
        return;
    }
    while ((more = ik_quick_attr(&payload, &attr)) > 0) {
        if (!add_attr(pattern, &table->layout, &attr, start)) {
            return;
        }
    }
    if (more < 0) {
        return;
    }
    pattern->present = present;
    pattern->longest = table->shape.family == AF_INET6 ? 128 : 32;
    pattern->options = table->layout.options;
    pattern->length = length;
}

static bool fits(const struct ik_pattern *pattern, const struct ik_reader *payload)
{
    if (payload->left != pattern->length) {
        return false;
    }
    for (uint32_t i = 0; i < pattern->headers; i++) {
        uint32_t word;
        memcpy(&word, payload->data + pattern->places[i], sizeof(word));
        if (word != pattern->words[i]) {
            return false;
        }
    }
    for (size_t i = 0; i < 2 && pattern->prefixes[i] != 0; i++) {
        if (payload->data[pattern->prefixes[i]] > pattern->longest) {
            return false;
        }
    }
    return true;
}

int ik_pattern_append(const struct ik_pattern *pattern, struct ik_elements *table, const struct ik_reader *payload)
{
    const struct ik_layout *layout = &table->layout;

    if (pattern->length == 0 || pattern->options != layout->options || table->index != NULL || !fits(pattern, payload)) {
        return 0;
    }
    if (table->count == table->capacity) {
        int result = ik_elements_grow(table);
        if (result < 0) {
            return result;
        }
    }
    uint8_t *record = ik_record(table, table->count);
    memset(record, 0, layout->record);
    if (layout->options != 0) {
        memcpy(record + layout->present, &pattern->present, sizeof(pattern->present));
    }
    for (uint32_t i = 0; i < pattern->count; i++) {
        const struct ik_move *move = &pattern->moves[i];
        ik_move_turned(record + move->record, payload->data + move->element, move->size, move->turn);
    }
    table->count++;
    return 1;
}
