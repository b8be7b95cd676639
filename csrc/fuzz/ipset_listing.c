/* Invariant: any bytes become sets whose texts end and whose elements are within their shapes, or -EBADMSG; elements that are encoded again, in messages
 * of any size, are listed as the same elements, none lost.
 *
 * Knows: ik_ipset.h, the shapes of the types there are. Must not know: sockets, text. Input: how to encode, then raw messages.
 */
#include "fuzz.h"

#include "../ik_ipset_wire.h"

#include <errno.h>
#include <netinet/in.h>

enum { TYPES = 28, LEAST = 1000, MESSAGES = 4096, ENOUGH = 200 };

static const struct {
    const char *name;
    uint8_t parts[IK_PARTS];
    uint32_t flags;
} kinds[] = {
    {"bitmap:ip", {IK_PART_ADDRESS}, 0},
    {"bitmap:ip,mac", {IK_PART_ADDRESS, IK_PART_MAC}, IK_SHAPE_MAC_IS_VALUE},
    {"bitmap:port", {IK_PART_NUMBER}, 0},
    {"hash:ip", {IK_PART_ADDRESS}, 0},
    {"hash:mac", {IK_PART_MAC}, 0},
    {"hash:ip,mac", {IK_PART_ADDRESS, IK_PART_MAC}, 0},
    {"hash:ip,mark", {IK_PART_ADDRESS, IK_PART_MARK}, 0},
    {"hash:ip,port", {IK_PART_ADDRESS, IK_PART_PORT}, 0},
    {"hash:ip,port,ip", {IK_PART_ADDRESS, IK_PART_PORT, IK_PART_ADDRESS}, 0},
    {"hash:ip,port,net", {IK_PART_ADDRESS, IK_PART_PORT, IK_PART_NET}, 0},
    {"hash:net", {IK_PART_NET}, 0},
    {"hash:net,net", {IK_PART_NET, IK_PART_NET}, 0},
    {"hash:net,port", {IK_PART_NET, IK_PART_PORT}, 0},
    {"hash:net,port,net", {IK_PART_NET, IK_PART_PORT, IK_PART_NET}, 0},
    {"hash:net,iface", {IK_PART_NET, IK_PART_INTERFACE}, 0},
    {"list:set", {IK_PART_SET}, 0},
};

static size_t make_types(struct ik_ipset_type *out)
{
    size_t count = 0;

    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        bool places = kinds[i].parts[0] == IK_PART_ADDRESS || kinds[i].parts[0] == IK_PART_NET;
        for (int wide = 0; wide <= (places && kinds[i].name[0] == 'h'); wide++) {
            struct ik_ipset_type *type = &out[count++];
            memset(type, 0, sizeof(*type));
            memcpy(type->name, kinds[i].name, strlen(kinds[i].name));
            memcpy(type->shape.parts, kinds[i].parts, IK_PARTS);
            type->shape.flags = kinds[i].flags;
            type->shape.family = !places ? 0 : wide ? AF_INET6 : AF_INET;
        }
    }
    HOLDS(count <= TYPES);
    return count;
}

static void check_element(const struct ik_shape *shape, const struct ik_element *element)
{
    unsigned bits = shape->family == AF_INET ? 32 : 128;

    HOLDS((element->present & (IK_HAS_RANGE | IK_HAS_BEFORE | IK_HAS_AFTER)) == 0);
    HOLDS(!(element->present & IK_HAS_MAC) || shape->flags & IK_SHAPE_MAC_IS_VALUE);
    HOLDS(element->prefix[0] <= bits && element->prefix[1] <= bits);
    HOLDS(is_text(element->name, ik_shape_has(shape, IK_PART_INTERFACE) ? IK_INTERFACE : IK_NAME));
    HOLDS(element->comment_length <= IK_COMMENT);
}

static bool same(const struct ik_element *one, const struct ik_element *two)
{
    return memcmp(one, two, offsetof(struct ik_element, comment)) == 0 &&
           (one->comment_length == 0 || memcmp(one->comment, two->comment, one->comment_length) == 0);
}

/* The message that begins a set. */
static size_t put_header(const struct ik_ipset_set *set, uint8_t *out, size_t room)
{
    struct ik_writer writer;

    ik_writer_init(&writer, out, room);
    size_t start = ik_ipset_begin(&writer, IK_CMD_LIST, 0, 0);
    ik_put_attr(&writer, IK_A_SETNAME, set->name, strlen(set->name) + 1);
    ik_put_attr(&writer, IK_A_TYPENAME, set->name2, strlen(set->name2) + 1);
    ik_put_attr(&writer, IK_A_FAMILY, &set->family, 1);
    ik_message_end(&writer, start);
    HOLDS(!writer.overflow);
    return writer.length;
}

/* Every message within its limit and numbered; each place of an element said once, from 1. */
static void check_messages(const struct ik_ipset_batch *batch, const uint8_t *data, size_t length, size_t messages, uint32_t sequence)
{
    struct ik_reader reader = {data, length};
    struct ik_message message;

    for (size_t i = 0; i < messages; i++) {
        HOLDS(ik_next_message(&reader, &message) == 1);
        HOLDS(message.payload.left + IK_MESSAGE_HEADER <= batch->message);
        HOLDS(message.sequence == sequence + (uint32_t)i && message.flags == (1 | batch->flags));
        HOLDS(message.type == (IK_IPSET_SUBSYS << 8 | batch->command));
    }
    HOLDS(reader.left == 0);
}

static void feed_singles(struct ik_ipset_listing *listing, uint8_t *data, size_t length)
{
    struct ik_reader reader = {data, length};
    struct ik_message message;

    /* What is one element by itself is a nest of one in a dump. */
    while (ik_next_message(&reader, &message) == 1) {
        static uint8_t made[LEAST];
        struct ik_reader payload = message.payload;
        struct ik_writer writer;
        struct ik_attr attr;
        ik_writer_init(&writer, made, sizeof(made));
        size_t start = ik_ipset_begin(&writer, IK_CMD_LIST, 0, 0);
        HOLDS(ik_skip(&payload, IK_NFGENMSG));
        while (ik_next_attr(&payload, &attr) == 1) {
            size_t nest = attr.type == IK_A_DATA ? ik_nest_begin(&writer, IK_A_ADT) : 0;
            ik_put_attr(&writer, attr.type, attr.payload.data, attr.payload.left);
            if (nest != 0) {
                ik_nest_end(&writer, nest);
            }
        }
        ik_message_end(&writer, start);
        HOLDS(!writer.overflow && ik_ipset_listing_feed(listing, made, writer.length) == 0);
    }
}

static void encode_all(const struct ik_ipset_batch *batch, const struct ik_elements *table, size_t most, struct ik_ipset_listing *into)
{
    static uint32_t firsts[MESSAGES];
    size_t count = ik_elements_count(table), start = 0, used, messages;

    while (start < count) {
        size_t room = batch->message + (start % 3) * 500;
        uint8_t *out = room_for(room, 1);
        long done = ik_ipset_encode_elements(batch, table, start, count - start, (uint32_t)start, out, room, &used, firsts, most, &messages);
        HOLDS(done > 0 && used <= room && messages > 0 && messages <= most && firsts[0] == start);
        HOLDS(!batch->single || (size_t)done == messages);
        for (size_t i = 1; i < messages; i++) {
            HOLDS(firsts[i] > firsts[i - 1] && firsts[i] < start + (size_t)done);
        }
        check_messages(batch, out, used, messages, (uint32_t)start);
        if (batch->single) {
            feed_singles(into, out, used);
        } else {
            HOLDS(ik_ipset_listing_feed(into, out, used) == 0);
        }
        free(out);
        start += (size_t)done;
    }
}

static void check_again(const struct ik_ipset_type *types, size_t type_count, const struct ik_ipset_set *set, const struct ik_elements *table,
                        const struct ik_ipset_batch *how, size_t most)
{
    struct ik_ipset_listing *listing = ik_ipset_listing_new(types, type_count);
    struct ik_ipset_batch batch = *how;
    struct ik_element one, two;
    uint8_t header[256];

    memcpy(batch.name, set->name, IK_NAME);
    HOLDS(ik_ipset_listing_feed(listing, header, put_header(set, header, sizeof(header))) == 0);
    encode_all(&batch, table, most, listing);
    HOLDS(ik_ipset_listing_count(listing) == 1);
    struct ik_elements *again = ik_ipset_listing_take(listing, 0);
    HOLDS(again != NULL && ik_elements_count(again) == ik_elements_count(table));
    for (size_t i = 0; i < ik_elements_count(table); i++) {
        ik_elements_get(table, i, &one);
        ik_elements_get(again, i, &two);
        HOLDS(same(&one, &two));
    }
    ik_elements_free(again);
    ik_ipset_listing_free(listing);
}

static void check_set(const struct ik_ipset_set *set)
{
    HOLDS(is_text(set->name, IK_NAME) && is_text(set->name2, IK_NAME));
    HOLDS(set->present & IK_SET_NAME);
    HOLDS(set->present < 2 * IK_SET_MEMORY);
}

/* One by one, without what the listing knows from the element before. */
static void check_elements(struct ik_reader adt, const struct ik_elements *table, size_t *at)
{
    struct ik_element element, found;
    struct ik_attr attr;

    while (ik_next_attr(&adt, &attr) == 1) {
        if (attr.type != IK_A_DATA) {
            continue;
        }
        struct ik_elements *single = ik_elements_new(ik_elements_shape(table));
        HOLDS(ik_ipset_decode_element(attr.payload, &element) == 0);
        element.present &= ik_elements_shape(table)->flags & IK_SHAPE_MAC_IS_VALUE ? UINT32_MAX : ~(uint32_t)IK_HAS_MAC;
        HOLDS(ik_elements_append(single, &element) == 0 && *at < ik_elements_count(table));
        ik_elements_get(single, 0, &element);
        ik_elements_get(table, (*at)++, &found);
        HOLDS(same(&element, &found));
        ik_elements_free(single);
    }
}

/* Every element of every set, as its own bytes say. */
static void check_contents(const uint8_t *data, size_t size, struct ik_elements *const *tables, size_t count)
{
    static size_t at[ENOUGH];
    struct ik_reader reader = {data, size};
    struct ik_ipset_set last = {0};
    struct ik_message message;
    struct ik_attr attr;
    size_t sets = 0;

    memset(at, 0, sizeof(at));
    while (ik_next_message(&reader, &message) == 1) {
        struct ik_ipset_set set = {0};
        struct ik_reader adt = {0};
        if (message.type >> 8 != IK_IPSET_SUBSYS) {
            continue;
        }
        HOLDS(ik_skip(&message.payload, IK_NFGENMSG));
        while (ik_next_attr(&message.payload, &attr) == 1) {
            HOLDS(ik_ipset_decode_set_attr(&attr, &set) >= 0);
            adt = attr.type == IK_A_ADT ? attr.payload : adt;
        }
        sets += sets == 0 || set.present & IK_SET_NAME2 || strcmp(set.name, last.name) != 0;
        last = set;
        if (sets <= count && tables[sets - 1] != NULL) {
            check_elements(adt, tables[sets - 1], &at[sets - 1]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        HOLDS(tables[i] == NULL || at[i] == ik_elements_count(tables[i]));
    }
}

/* What single answers are made of these bytes, whatever they are. */
static void check_answers(const uint8_t *data, size_t size)
{
    size_t most = size / IK_MESSAGE_HEADER, others;
    long found = ik_ipset_parse(data, size, 1, NULL, 0);
    struct ik_ipset_set *sets = room_for(most, sizeof(*sets));
    struct ik_ipset_failure *failures = room_for(most, sizeof(*failures));
    uint32_t *places = room_for(most, sizeof(*places));

    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= most));
    HOLDS(ik_ipset_parse(data, size, 1, sets, most) == found);
    for (long i = 0; i < found; i++) {
        HOLDS(is_text(sets[i].name, IK_NAME) && is_text(sets[i].name2, IK_NAME));
    }
    found = ik_ipset_failures(data, size, 1, failures, most);
    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= most));
    for (long i = 0; i < found; i++) {
        HOLDS(failures[i].error > 0 && failures[i].error <= INT32_MAX);
    }
    long same_error = ik_ipset_split(data, size, found > 0 ? failures[0].error : 4103, places, most, failures, most, &others);
    HOLDS(found < 0 ? same_error == found : same_error + (long)others == found);
    free(sets);
    free(failures);
    free(places);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ik_ipset_type types[TYPES];
    static size_t type_count;
    static struct ik_elements *tables[ENOUGH];
    struct ik_ipset_batch batch = {.command = IK_CMD_ADD, .options = UINT32_MAX};
    struct ik_ipset_set set;
    struct ik_element element;

    type_count = type_count == 0 ? make_types(types) : type_count;
    if (size < 3) {
        return 0;
    }
    batch.single = data[0] & 1;
    batch.flags = data[0] & 2 ? 0x200 : 0;
    batch.message = LEAST + data[1] * 16u;
    size_t most = 1 + data[2];
    data += 3;
    size -= 3;
    check_answers(data, size);
    struct ik_ipset_listing *listing = ik_ipset_listing_new(types, type_count);
    int result = ik_ipset_listing_feed(listing, data, size);
    HOLDS(result == 0 || result == -EBADMSG);
    size_t count = ik_ipset_listing_count(listing);
    count = count < ENOUGH ? count : ENOUGH;
    for (size_t i = 0; i < count; i++) {
        tables[i] = ik_ipset_listing_take(listing, i);
        HOLDS(ik_ipset_listing_take(listing, i) == NULL);
    }
    if (result == 0) {
        check_contents(data, size, tables, count);
    }
    for (size_t i = 0; i < count; i++) {
        ik_ipset_listing_set(listing, i, &set);
        check_set(&set);
        for (size_t at = 0; tables[i] != NULL && at < ik_elements_count(tables[i]); at++) {
            ik_elements_get(tables[i], at, &element);
            check_element(ik_elements_shape(tables[i]), &element);
        }
        if (tables[i] != NULL && ik_elements_count(tables[i]) > 0) {
            check_again(types, type_count, &set, tables[i], &batch, most);
        }
        ik_elements_free(tables[i]);
    }
    ik_ipset_listing_free(listing);
    return 0;
}
