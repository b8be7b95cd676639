/* Knows: how each kind of attribute becomes a record's field and back. Must not know: which attributes there are. See ik_table.h. */
#include "ik_table.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static uint32_t present_bits(const struct ik_table *table, const void *record)
{
    uint32_t bits;

    memcpy(&bits, (const uint8_t *)record + table->present_offset, sizeof(bits));
    return bits;
}

static void set_present(const struct ik_table *table, void *record, uint16_t type)
{
    uint32_t bits = present_bits(table, record) | (UINT32_C(1) << type);

    memcpy((uint8_t *)record + table->present_offset, &bits, sizeof(bits));
}

static void encode_field(const struct ik_attr_spec *spec, const uint8_t *field, struct ik_writer *writer)
{
    uint16_t narrow;
    uint32_t wide;

    switch (spec->kind) {
    case IK_BE16:
        memcpy(&narrow, field, sizeof(narrow));
        narrow = htons(narrow);
        ik_put_attr(writer, spec->type, &narrow, sizeof(narrow));
        break;
    case IK_BE32:
        memcpy(&wide, field, sizeof(wide));
        wide = htonl(wide);
        ik_put_attr(writer, spec->type, &wide, sizeof(wide));
        break;
    case IK_TEXT: {
        size_t length = strnlen((const char *)field, spec->size - 1u);
        uint8_t text[256] = {0};

        memcpy(text, field, length);
        ik_put_attr(writer, spec->type, text, length + 1);
        break;
    }
    default:
        ik_put_attr(writer, spec->type, field, spec->size);
        break;
    }
}

void ik_encode(const struct ik_table *table, const void *record, struct ik_writer *writer)
{
    uint32_t present = present_bits(table, record);

    for (size_t i = 0; i < table->count; i++) {
        const struct ik_attr_spec *spec = &table->specs[i];
        if (present & (UINT32_C(1) << spec->type)) {
            encode_field(spec, (const uint8_t *)record + spec->offset, writer);
        }
    }
}

/* How long the attribute may be on the wire, from its kind. */
static bool length_fits(const struct ik_attr_spec *spec, const struct ik_reader *payload)
{
    switch (spec->kind) {
    case IK_U32_U64:
        return payload->left == sizeof(uint32_t);
    case IK_UP_TO:
        return payload->left <= spec->size;
    case IK_TEXT:
        return payload->left <= spec->size && memchr(payload->data, 0, payload->left) != NULL;
    default:
        return payload->left == spec->size;
    }
}

static void decode_plain(const struct ik_attr_spec *spec, const struct ik_reader *payload, uint8_t *field)
{
    /* Most fields; a copy of known length is no call. */
    if (payload->left == sizeof(uint64_t) && spec->size == sizeof(uint64_t)) {
        memcpy(field, payload->data, sizeof(uint64_t));
        return;
    }
    if (payload->left == sizeof(uint32_t) && spec->size == sizeof(uint32_t)) {
        memcpy(field, payload->data, sizeof(uint32_t));
        return;
    }
    memset(field, 0, spec->size);
    memcpy(field, payload->data, payload->left);
}

static void decode_field(const struct ik_attr_spec *spec, const struct ik_reader *payload, uint8_t *field)
{
    uint16_t narrow;
    uint32_t wide;
    uint64_t widest;

    switch (spec->kind) {
    case IK_BE16:
        memcpy(&narrow, payload->data, sizeof(narrow));
        narrow = ntohs(narrow);
        memcpy(field, &narrow, sizeof(narrow));
        break;
    case IK_BE32:
        memcpy(&wide, payload->data, sizeof(wide));
        wide = ntohl(wide);
        memcpy(field, &wide, sizeof(wide));
        break;
    case IK_U32_U64:
        memcpy(&wide, payload->data, sizeof(wide));
        widest = wide;
        memcpy(field, &widest, sizeof(widest));
        break;
    case IK_TEXT:
        memset(field, 0, spec->size);
        memcpy(field, payload->data, strnlen((const char *)payload->data, payload->left));
        break;
    default:
        decode_plain(spec, payload, field);
        break;
    }
}

/* Tables mostly hold numbers that follow one another, so the place of a number is known. */
static const struct ik_attr_spec *find_spec(const struct ik_table *table, uint16_t type)
{
    size_t guess = (size_t)type - table->specs[0].type;

    if (guess < table->count && table->specs[guess].type == type) {
        return &table->specs[guess];
    }
    for (size_t i = 0; i < table->count; i++) {
        if (table->specs[i].type == type) {
            return &table->specs[i];
        }
    }
    return NULL;
}

int ik_decode_attr(const struct ik_table *table, const struct ik_attr *attr, void *record)
{
    const struct ik_attr_spec *spec = find_spec(table, attr->type);

    if (spec == NULL) {
        return 0;
    }
    if (!length_fits(spec, &attr->payload)) {
        return -EBADMSG;
    }
    decode_field(spec, &attr->payload, (uint8_t *)record + spec->offset);
    set_present(table, record, spec->type);
    return 1;
}

int ik_decode(const struct ik_table *table, struct ik_reader payload, void *record)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int taken = ik_decode_attr(table, &attr, record);
        if (taken < 0) {
            return taken;
        }
    }
    return more;
}
