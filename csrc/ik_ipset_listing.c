/* Sets with their elements, from the messages of a dump as they arrive.
 *
 * Knows: how a dump is laid out. Must not know: sockets. See ik_ipset.h.
 *
 * The first message of a set has its header and the first elements; those that follow have its name and more elements.
 */
#include "ik_ipset_pattern.h"
#include "ik_ipset_wire.h"
#include "ik_socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { RESERVED = 1 << 21 }; /* elements that room is made for because a header says that there are so many */

struct listed {
    struct ik_ipset_set set;
    struct ik_elements *elements;
    struct ik_pattern pattern;
};

struct ik_ipset_listing {
    struct ik_ipset_type *types;
    size_t type_count;
    struct listed *sets;
    size_t count;
    size_t capacity;
    uint32_t error;
};

struct ik_ipset_listing *ik_ipset_listing_new(const struct ik_ipset_type *types, size_t count)
{
    struct ik_ipset_listing *listing = calloc(1, sizeof(*listing));

    if (listing == NULL) {
        return NULL;
    }
    listing->types = calloc(count + 1, sizeof(*types));
    if (listing->types == NULL) {
        free(listing);
        return NULL;
    }
    memcpy(listing->types, types, count * sizeof(*types));
    listing->type_count = count;
    return listing;
}

void ik_ipset_listing_free(struct ik_ipset_listing *listing)
{
    if (listing == NULL) {
        return;
    }
    for (size_t i = 0; i < listing->count; i++) {
        ik_elements_free(listing->sets[i].elements);
    }
    free(listing->sets);
    free(listing->types);
    free(listing);
}

size_t ik_ipset_listing_count(const struct ik_ipset_listing *listing) { return listing->count; }

uint32_t ik_ipset_listing_error(const struct ik_ipset_listing *listing) { return listing->error; }

void ik_ipset_listing_set(const struct ik_ipset_listing *listing, size_t number, struct ik_ipset_set *out) { *out = listing->sets[number].set; }

struct ik_elements *ik_ipset_listing_take(struct ik_ipset_listing *listing, size_t number)
{
    struct ik_elements *elements = listing->sets[number].elements;

    listing->sets[number].elements = NULL;
    return elements;
}

static const struct ik_shape *shape_of(const struct ik_ipset_listing *listing, const struct ik_ipset_set *set)
{
    for (size_t i = 0; i < listing->type_count; i++) {
        const struct ik_ipset_type *type = &listing->types[i];
        if (strncmp(type->name, set->name2, IK_NAME) == 0 && (type->shape.family == 0 || type->shape.family == set->family)) {
            return &type->shape;
        }
    }
    return NULL;
}

static int add_set(struct ik_ipset_listing *listing, const struct ik_ipset_set *set)
{
    if (listing->count == listing->capacity) {
        size_t capacity = listing->capacity == 0 ? 8 : listing->capacity * 2;
        struct listed *sets = realloc(listing->sets, capacity * sizeof(*sets));
        if (sets == NULL) {
            return -ENOMEM;
        }
        listing->sets = sets;
        listing->capacity = capacity;
    }
    struct listed *listed = &listing->sets[listing->count];
    listed->set = *set;
    listed->elements = NULL;
    listed->pattern.length = 0;
    listing->count++;
    const struct ik_shape *shape = set->present & IK_SET_NAME2 ? shape_of(listing, set) : NULL;
    if (shape == NULL) {
        return 0;
    }
    listed->elements = ik_elements_new(shape);
    return listed->elements == NULL ? -ENOMEM : 0;
}

/* What the attributes by themselves do not tell: an address has so many bits, names are not empty but behind physdev, those of interfaces are short. */
static bool makes_sense(const struct ik_shape *shape, const struct ik_element *element)
{
    const unsigned bits = shape->family == AF_INET6 ? 128 : 32;
    const bool interface = ik_shape_has(shape, IK_PART_INTERFACE);

    return element->prefix[0] <= bits && element->prefix[1] <= bits && (!interface || element->name[IK_INTERFACE - 1] == 0) &&
           (element->name[0] != 0 || (interface ? element->physdev != 0 : !ik_shape_has(shape, IK_PART_SET)));
}

/* Now its options are known, and with them the room that each of the others takes. */
static int make_room(struct listed *listed)
{
    uint32_t expected = listed->set.elements < RESERVED ? listed->set.elements : RESERVED;

    return ik_elements_count(listed->elements) == 1 ? ik_elements_reserve(listed->elements, expected) : 0;
}

static int add_element(struct listed *listed, struct ik_reader payload)
{
    const struct ik_shape *shape = ik_elements_shape(listed->elements);
    const uint32_t meaningless = shape->flags & IK_SHAPE_MAC_IS_VALUE ? 0 : IK_HAS_MAC;
    struct ik_element element;
    int result = ik_pattern_append(&listed->pattern, listed->elements, &payload);

    if (result != 0) {
        return result < 0 ? result : 0;
    }
    result = ik_ipset_decode_element(payload, &element);
    element.present &= ~meaningless;
    if (result == 0 && !makes_sense(shape, &element)) {
        result = -EBADMSG;
    }
    result = result < 0 ? result : ik_elements_append(listed->elements, &element);
    if (result < 0) {
        return result;
    }
    ik_pattern_learn(&listed->pattern, listed->elements, payload, element.present);
    return make_room(listed);
}

static int add_elements(struct listed *listed, struct ik_reader payload)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_quick_attr(&payload, &attr)) > 0) {
        int result = attr.type == IK_A_DATA ? add_element(listed, attr.payload) : 0;
        if (result < 0) {
            return result;
        }
    }
    return more;
}

static bool continues(const struct ik_ipset_listing *listing, const struct ik_ipset_set *set)
{
    return listing->count > 0 && !(set->present & IK_SET_NAME2) &&
           strncmp(listing->sets[listing->count - 1].set.name, set->name, IK_NAME) == 0;
}

static int take_message(struct ik_ipset_listing *listing, struct ik_reader payload)
{
    struct ik_ipset_set set = {0};
    struct ik_reader elements = {0};
    struct ik_attr attr;
    int more;

    if (!ik_skip(&payload, IK_NFGENMSG)) {
        return -EBADMSG;
    }
    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = ik_ipset_decode_set_attr(&attr, &set);
        if (result == 0 && attr.type == IK_A_DATA) {
            result = ik_ipset_decode_set_data(attr.payload, &set);
        } else if (result == 0 && attr.type == IK_A_ADT) {
            elements = attr.payload;
        }
        if (result < 0) {
            return result;
        }
    }
    if (more < 0 || !(set.present & IK_SET_NAME)) {
        return -EBADMSG;
    }
    if (!continues(listing, &set)) {
        int result = add_set(listing, &set);
        if (result < 0) {
            return result;
        }
    }
    struct listed *listed = &listing->sets[listing->count - 1];
    return listed->elements == NULL ? 0 : add_elements(listed, elements);
}

static int take_end(struct ik_ipset_listing *listing, struct ik_reader payload)
{
    int32_t error = 0;

    if (payload.left < sizeof(error)) {
        return -EBADMSG;
    }
    memcpy(&error, payload.data, sizeof(error));
    if (error > 0 || error == INT32_MIN) {
        return -EBADMSG;
    }
    if (listing->error == 0) {
        listing->error = (uint32_t)-error;
    }
    return 0;
}

int ik_ipset_listing_feed(struct ik_ipset_listing *listing, const uint8_t *data, size_t length)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        int result = -EBADMSG;
        if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
            result = take_end(listing, message.payload);
        } else if (message.type >> 8 == IK_IPSET_SUBSYS) {
            result = take_message(listing, message.payload);
        }
        if (result < 0) {
            return result;
        }
    }
    return more;
}

static int sink(void *listing, const uint8_t *message, size_t length) { return ik_ipset_listing_feed(listing, message, length); }

void ik_ipset_listing_receive(struct ik_ipset_listing *listing, struct ik_reply *reply) { ik_reply_into(reply, sink, listing); }
