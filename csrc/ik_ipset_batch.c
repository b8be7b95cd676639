/* Elements of a table as messages.
 *
 * Knows: how the attributes of an element nest. Must not know: sockets, text. See ik_ipset.h.
 *
 * Elements that have the same options have the same attributes at the same places: these are written once, as a template, with the moves that bring
 * a record's fields to their places. An element then costs a copy and a few stores.
 */
#include "ik_element_private.h"
#include "ik_elements_private.h"
#include "ik_ipset_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum {
    TEMPLATES = 8,     /* that are kept: elements of a table come with few different sets of options */
    TEMPLATE = 512,    /* bytes that are always enough for an element without its comment */
    COMMENT_ROOM = IK_ATTR_HEADER + IK_COMMENT + 1,
};

struct template {
    uint32_t what; /* present, and PHYSDEV */
    uint16_t length;
    uint16_t line;    /* offset of the element's place in its message; 0: has none */
    uint16_t comment; /* how long the element is where libipset puts its comment */
    uint32_t count;
    struct ik_move moves[IK_MOVES];
    uint8_t bytes[TEMPLATE];
};

enum { PHYSDEV = 1 << 30, HOST = 1 << 29, HOST2 = 1 << 28 };

/* What libipset leaves free at the end of a message, and the room that it asks for before it puts a comment, however short that is. */
enum { LIBIPSET_MARGIN = 20, LIBIPSET_COMMENT = IK_ATTR_HEADER + IK_COMMENT + 1 };

/* What no element has. */
#define NEVER UINT32_MAX

struct encoder {
    const struct ik_elements *table;
    const struct ik_ipset_batch *batch;
    uint16_t physdev; /* offset in the record; 0: has none */
    uint16_t prefix[2]; /* the same, where prefixes as long as the address are left out */
    uint32_t newest;
    struct template templates[TEMPLATES];
};

/* Where the layout has this field of ik_element; NULL: nowhere. */
static const struct ik_move *place_of(const struct ik_layout *layout, size_t element)
{
    for (uint32_t i = 0; i < layout->count; i++) {
        if (layout->moves[i].element == element) {
            return &layout->moves[i];
        }
    }
    return NULL;
}

/* The turns between the record's order and the wire's. */
#define HOST_ORDER32 (htonl(1) == 1 ? IK_PLAIN : IK_TURN32)
#define HOST_ORDER64 (htonl(1) == 1 ? IK_PLAIN : IK_TURN64)
#define HOST_ORDER16 (htonl(1) == 1 ? IK_PLAIN : IK_TURN16)

/* An attribute whose payload comes from the record. */
static void put(struct template *into, struct ik_writer *writer, const struct ik_layout *layout, uint16_t type, size_t element, size_t size,
                uint16_t turn)
{
    static const uint8_t nothing[IK_NAME];
    const struct ik_move *from = place_of(layout, element);

    ik_put_attr(writer, type, nothing, size);
    if (from != NULL && !writer->overflow && into->count < IK_MOVES) {
        into->moves[into->count++] = (struct ik_move){.element = (uint16_t)(writer->length - ik_align(size)),
                                                      .record = from->record,
                                                      .size = (uint16_t)size,
                                                      .turn = turn};
    }
}

#define FIELD(name) offsetof(struct ik_element, name)

static void put_address(struct template *into, struct ik_writer *writer, const struct ik_elements *table, uint16_t type, size_t element)
{
    bool wide = table->shape.family == AF_INET6;
    size_t nest = ik_nest_begin(writer, type);

    put(into, writer, &table->layout, (uint16_t)((wide ? IK_IPADDR_IPV6 : IK_IPADDR_IPV4) | IK_NBO), element, wide ? 16 : 4, IK_PLAIN);
    ik_nest_end(writer, nest);
}

/* An address, the end of its range or its prefix. */
static void put_place(struct template *into, struct ik_writer *writer, const struct ik_elements *table, bool net, size_t which)
{
    static const uint16_t types[2][3] = {{IK_D_IP, IK_D_IP_TO, IK_D_CIDR}, {IK_D_IP2, IK_D_IP2_TO, IK_D_CIDR2}};
    static const uint32_t bits[2] = {IK_HAS_LAST, IK_HAS_LAST2};
    static const uint32_t hosts[2] = {HOST, HOST2};

    put_address(into, writer, table, types[which][0], FIELD(address) + 16 * which);
    if (into->what & bits[which]) {
        put_address(into, writer, table, types[which][1], FIELD(last) + 16 * which);
    } else if (net && !(into->what & hosts[which])) {
        put(into, writer, &table->layout, types[which][2], FIELD(prefix) + which, 1, IK_PLAIN);
    }
}

static void put_part(struct template *into, struct ik_writer *writer, const struct ik_elements *table, uint8_t part, size_t *addresses)
{
    const struct ik_layout *layout = &table->layout;

    switch (part) {
    case IK_PART_ADDRESS:
    case IK_PART_NET:
        put_place(into, writer, table, part == IK_PART_NET, (*addresses)++);
        break;
    case IK_PART_PORT:
        put(into, writer, layout, IK_D_PROTO, FIELD(protocol), 1, IK_PLAIN);
        /* fall through */
    case IK_PART_NUMBER:
        put(into, writer, layout, IK_D_PORT | IK_NBO, FIELD(port), 2, IK_PLAIN);
        if (into->what & IK_HAS_LAST_PORT) {
            put(into, writer, layout, IK_D_PORT_TO | IK_NBO, FIELD(last_port), 2, IK_PLAIN);
        }
        break;
    case IK_PART_MARK:
        put(into, writer, layout, IK_D_MARK | IK_NBO, FIELD(mark), 4, IK_PLAIN);
        break;
    case IK_PART_MAC:
        if (!(table->shape.flags & IK_SHAPE_MAC_IS_VALUE) || into->what & IK_HAS_MAC) {
            put(into, writer, layout, IK_D_ETHER, FIELD(mac), 6, IK_PLAIN);
        }
        break;
    case IK_PART_INTERFACE:
        put(into, writer, layout, IK_D_IFACE, FIELD(name), IK_INTERFACE, IK_PLAIN);
        break;
    case IK_PART_SET:
        put(into, writer, layout, IK_D_NAME, FIELD(name), IK_NAME, IK_PLAIN);
        break;
    default:
        break;
    }
}

/* Mark and mask are two numbers of 32 bits here and one of 64 there. */
static void put_skbmark(struct template *into, struct ik_writer *writer, const struct ik_layout *layout)
{
    put(into, writer, layout, IK_D_SKBMARK | IK_NBO, FIELD(skbmark), 8, IK_PLAIN);
    if (into->count > 0 && into->count < IK_MOVES) {
        struct ik_move *mark = &into->moves[into->count - 1];
        struct ik_move *mask = &into->moves[into->count++];
        mark->size = 4;
        mark->turn = HOST_ORDER32;
        *mask = *mark;
        mask->element = (uint16_t)(mark->element + 4);
        mask->record = (uint16_t)(mark->record + 4);
    }
}

static size_t skbinfo_length(uint32_t what)
{
    return (what & IK_HAS_SKBMARK ? 12u : 0u) + (what & IK_HAS_SKBPRIO ? 8u : 0u) + (what & IK_HAS_SKBQUEUE ? 8u : 0u);
}

static void put_options(struct template *into, struct ik_writer *writer, const struct ik_layout *layout)
{
    uint32_t what = into->what;
    uint32_t flags = (what & IK_HAS_NOMATCH ? IK_F_NOMATCH : 0u) | (what & IK_HAS_WILDCARD ? IK_F_WILDCARD : 0u) |
                     (what & IK_HAS_BEFORE ? IK_F_BEFORE : 0u) | (what & PHYSDEV ? IK_F_PHYSDEV : 0u);

    if (what & IK_HAS_TIMEOUT) {
        put(into, writer, layout, IK_D_TIMEOUT | IK_NBO, FIELD(timeout), 4, HOST_ORDER32);
    }
    if (what & IK_HAS_PACKETS) {
        put(into, writer, layout, IK_D_PACKETS | IK_NBO, FIELD(packets), 8, HOST_ORDER64);
    }
    if (what & IK_HAS_BYTES) {
        put(into, writer, layout, IK_D_BYTES | IK_NBO, FIELD(bytes), 8, HOST_ORDER64);
    }
    if (what & IK_HAS_SKBMARK) {
        put_skbmark(into, writer, layout);
    }
    if (what & IK_HAS_SKBPRIO) {
        put(into, writer, layout, IK_D_SKBPRIO | IK_NBO, FIELD(skbprio), 4, HOST_ORDER32);
    }
    if (what & IK_HAS_SKBQUEUE) {
        put(into, writer, layout, IK_D_SKBQUEUE | IK_NBO, FIELD(skbqueue), 2, HOST_ORDER16);
    }
    if (what & (IK_HAS_BEFORE | IK_HAS_AFTER)) {
        put(into, writer, layout, IK_D_NAMEREF, FIELD(reference), IK_NAME, IK_PLAIN);
    }
    if (flags != 0) {
        flags = htonl(flags);
        ik_put_attr(writer, IK_D_CADT_FLAGS | IK_NBO, &flags, sizeof(flags));
    }
}

static void make_template(const struct encoder *encoder, uint32_t what, struct template *out)
{
    const struct ik_elements *table = encoder->table;
    const uint32_t line = 0;
    struct ik_writer writer;
    size_t addresses = 0;

    out->what = what;
    out->count = 0;
    out->line = 0;
    ik_writer_init(&writer, out->bytes, sizeof(out->bytes));
    (void)ik_nest_begin(&writer, IK_A_DATA);
    for (size_t i = 0; i < IK_PARTS; i++) {
        put_part(out, &writer, table, table->shape.parts[i], &addresses);
    }
    put_options(out, &writer, &table->layout);
    out->comment = (uint16_t)(writer.length - skbinfo_length(what));
    if (!encoder->batch->single) {
        ik_put_attr(&writer, IK_D_LINENO, &line, sizeof(line));
        out->line = (uint16_t)(writer.length - sizeof(line));
    }
    ik_nest_end(&writer, 0);
    out->length = (uint16_t)writer.length;
}

static const struct template *template_for(struct encoder *encoder, uint32_t what)
{
    if (encoder->templates[encoder->newest].what == what) {
        return &encoder->templates[encoder->newest];
    }
    for (uint32_t i = 0; i < TEMPLATES; i++) {
        if (encoder->templates[i].what == what) {
            encoder->newest = i;
            return &encoder->templates[i];
        }
    }
    encoder->newest = (encoder->newest + 1) % TEMPLATES;
    make_template(encoder, what, &encoder->templates[encoder->newest]);
    return &encoder->templates[encoder->newest];
}

static uint32_t what_of(const struct encoder *encoder, const uint8_t *record)
{
    uint32_t what = ik_layout_present(&encoder->table->layout, record) & encoder->batch->options;
    unsigned width = (unsigned)ik_width(&encoder->table->shape) * 8;

    what |= encoder->prefix[0] != 0 && record[encoder->prefix[0]] == width ? HOST : 0;
    what |= encoder->prefix[1] != 0 && record[encoder->prefix[1]] == width ? HOST2 : 0;
    return encoder->physdev != 0 && record[encoder->physdev] != 0 ? what | PHYSDEV : what;
}

/* The comment, as the last attribute of an element that begins at `element`. */
static void put_comment(const struct ik_elements *table, const uint8_t *record, struct ik_writer *writer, size_t element)
{
    uint8_t text[IK_COMMENT + 1];
    uint32_t where;

    memcpy(&where, record + table->layout.comment, sizeof(where));
    size_t length = (uint8_t)table->heap[where];
    memcpy(text, table->heap + where + 1, length);
    text[length] = 0;
    ik_put_attr(writer, IK_D_COMMENT, text, length + 1);
    ik_nest_end(writer, element);
}

static size_t comment_length(const struct ik_elements *table, const uint8_t *record)
{
    uint32_t where;

    memcpy(&where, record + table->layout.comment, sizeof(where));
    return (uint8_t)table->heap[where];
}

/* How much room must be left for an element to be put. */
static size_t wanted_room(const struct encoder *encoder, const struct template *from, const uint8_t *record)
{
    if (!encoder->batch->libipset) {
        return from->what & IK_HAS_COMMENT ? (size_t)from->length + COMMENT_ROOM : from->length;
    }
    if ((from->what & IK_HAS_COMMENT) == 0) {
        return (size_t)from->length + LIBIPSET_MARGIN;
    }
    size_t whole = from->length + IK_ATTR_HEADER + ik_align(comment_length(encoder->table, record) + 1);
    size_t there = (size_t)from->comment + LIBIPSET_COMMENT;
    return (whole > there ? whole : there) + LIBIPSET_MARGIN;
}

/* False when there is no room, and then nothing is written. */
static bool put_element(struct encoder *encoder, size_t number, uint32_t line, struct ik_writer *writer, size_t end)
{
    const uint8_t *record = ik_record(encoder->table, number);
    const struct template *from = template_for(encoder, what_of(encoder, record));

    if (writer->length + wanted_room(encoder, from, record) > end) {
        return false;
    }
    size_t start = writer->length;
    uint8_t *out = writer->data + start;
    memcpy(out, from->bytes, from->length);
    writer->length += from->length;
    for (uint32_t i = 0; i < from->count; i++) {
        ik_move_turned(out + from->moves[i].element, record + from->moves[i].record, from->moves[i].size, from->moves[i].turn);
    }
    if (from->line != 0) {
        memcpy(out + from->line, &line, sizeof(line));
    }
    if (from->what & IK_HAS_COMMENT) {
        put_comment(encoder->table, record, writer, start);
    }
    return true;
}

/* A message with as many elements as fit; how many that were. */
static size_t put_message(struct encoder *encoder, size_t start, size_t count, uint32_t sequence, struct ik_writer *writer)
{
    const struct ik_ipset_batch *batch = encoder->batch;
    const uint32_t line = 0;
    size_t message = ik_ipset_begin(writer, batch->command, batch->flags, sequence);
    size_t done = 0, nest = 0;

    ik_put_attr(writer, IK_A_SETNAME, batch->name, strnlen(batch->name, IK_NAME - 1) + 1);
    if (!batch->single) {
        ik_put_attr(writer, IK_A_LINENO, &line, sizeof(line));
        nest = ik_nest_begin(writer, IK_A_ADT);
    }
    if (writer->overflow) {
        return 0;
    }
    size_t most = message + batch->message;
    size_t end = writer->capacity < most ? writer->capacity : most;
    size_t wanted = batch->single && count > 1 ? 1 : count;
    while (done < wanted && put_element(encoder, start + done, batch->line + (uint32_t)done + 1, writer, end)) {
        done++;
    }
    if (nest != 0) {
        ik_nest_end(writer, nest);
    }
    ik_message_end(writer, message);
    return done;
}

static void set_up(struct encoder *encoder, const struct ik_elements *table, const struct ik_ipset_batch *batch)
{
    const struct ik_move *physdev = place_of(&table->layout, FIELD(physdev));

    encoder->table = table;
    encoder->batch = batch;
    encoder->physdev = physdev == NULL ? 0 : physdev->record;
    for (size_t i = 0; i < 2; i++) {
        const struct ik_move *prefix = batch->libipset ? place_of(&table->layout, FIELD(prefix) + i) : NULL;
        encoder->prefix[i] = prefix == NULL ? 0 : prefix->record;
    }
    encoder->newest = 0;
    for (uint32_t i = 0; i < TEMPLATES; i++) {
        encoder->templates[i].what = NEVER;
    }
}

long ik_ipset_encode_elements(const struct ik_ipset_batch *batch, const struct ik_elements *table, size_t start, size_t count,
                              uint32_t sequence, uint8_t *out, size_t room, size_t *used, uint32_t *firsts, size_t most,
                              size_t *messages)
{
    struct encoder encoder;
    struct ik_writer writer;
    size_t done = 0;

    *used = *messages = 0;
    if (batch->command < IK_CMD_ADD || batch->command > IK_CMD_TEST || batch->message > IK_IPSET_MESSAGE_MAX ||
        memchr(batch->name, 0, IK_NAME) == NULL || start > table->count || count > table->count - start) {
        return -EINVAL;
    }
    set_up(&encoder, table, batch);
    ik_writer_init(&writer, out, room);
    while (done < count && *messages < most) {
        size_t some = put_message(&encoder, start + done, count - done, sequence + (uint32_t)*messages, &writer);
        if (some == 0) {
            break;
        }
        firsts[(*messages)++] = (uint32_t)(start + done);
        done += some;
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}
