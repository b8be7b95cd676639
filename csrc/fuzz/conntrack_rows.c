/* Invariant: any bytes become flows that are possible, or -EBADMSG; those of one family and protocol are among all; what arrives message by message is
 * what arrives at once; and each flow becomes one whole request that never leaves the room it is given.
 *
 * Knows: ik_conntrack.h. Must not know: sockets. Input: raw messages.
 */
#include "fuzz.h"

#include "../ik_conntrack.h"

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { FIRST = UINT32_MAX }; /* numbers wrap */

static struct ik_conntrack_listing *listing_of(uint8_t family, uint8_t protocol)
{
    struct ik_conntrack_listing *listing = ik_conntrack_listing_new(family, protocol);

    HOLDS(listing != NULL);
    return listing;
}

static void check_requests(const struct ik_conntrack_flow *flows, size_t count)
{
    uint8_t out[512];
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        HOLDS(ik_conntrack_encode_deletes(&flows[i], 1, FIRST, out, sizeof(out), &used) == 1);
        uint8_t *exact = room_for(used, 1);
        size_t again = 0;
        HOLDS(ik_conntrack_encode_deletes(&flows[i], 1, FIRST, exact, used, &again) == 1 && again == used);
        HOLDS(memcmp(exact, out, used) == 0);
        HOLDS(ik_conntrack_encode_deletes(&flows[i], 1, FIRST, exact, used - 1, &again) == -ENOSPC && again == 0);
        free(exact);
    }
    long done = ik_conntrack_encode_deletes(flows, count, FIRST, out, sizeof(out), &used);
    struct ik_reader reader = {out, used};
    struct ik_message message;
    for (long i = 0; i < done; i++) {
        HOLDS(ik_next_message(&reader, &message) == 1 && message.sequence == (uint32_t)FIRST + (uint32_t)i);
    }
    HOLDS(done >= 0 && reader.left == 0);
}

static void check_flows(const struct ik_conntrack_flow *flows, size_t count)
{
    static const uint8_t none[12];

    for (size_t i = 0; i < count; i++) {
        HOLDS(flows[i].family == AF_INET || flows[i].family == AF_INET6);
        HOLDS(flows[i].reserved == 0);
        HOLDS(flows[i].family == AF_INET6 || memcmp(flows[i].original.source + 4, none, sizeof(none)) == 0);
        HOLDS(flows[i].family == AF_INET6 || memcmp(flows[i].reply.destination + 4, none, sizeof(none)) == 0);
    }
}

static size_t matching(const struct ik_conntrack_flow *flows, size_t count, uint8_t family, uint8_t protocol)
{
    size_t found = 0;

    for (size_t i = 0; i < count; i++) {
        found += flows[i].family == family && flows[i].protocol == protocol;
    }
    return found;
}

/* Message by message, each in memory of exactly its size. */
static int feed_apart(struct ik_conntrack_listing *listing, const uint8_t *data, size_t size)
{
    struct ik_reader reader = {data, size};
    struct ik_message message;
    int more, result = 0;

    while (result == 0 && (more = ik_next_message(&reader, &message)) > 0) {
        size_t length = message.payload.left + IK_MESSAGE_HEADER;
        uint8_t *copy = room_for(length, 1);
        memcpy(copy, message.payload.data - IK_MESSAGE_HEADER, length);
        result = ik_conntrack_listing_feed(listing, copy, length);
        free(copy);
    }
    return result < 0 ? result : more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ik_conntrack_listing *all = listing_of(0, 0), *some = listing_of(AF_INET, IPPROTO_UDP), *apart = listing_of(0, 0);
    int result = ik_conntrack_listing_feed(all, data, size);
    size_t count = ik_conntrack_listing_count(all);
    const struct ik_conntrack_flow *flows = ik_conntrack_listing_flows(all);

    HOLDS(result == 0 || result == -EBADMSG);
    HOLDS(count <= size / IK_MESSAGE_HEADER && ik_conntrack_listing_error(all) >= 0);
    HOLDS(strlen(ik_conntrack_listing_text(all)) < 116);
    check_flows(flows, count);
    check_requests(flows, count);
    int filtered = ik_conntrack_listing_feed(some, data, size);
    HOLDS(filtered == 0 || filtered == -EBADMSG);
    if (result == 0) {
        HOLDS(filtered == 0 && ik_conntrack_listing_count(some) == matching(flows, count, AF_INET, IPPROTO_UDP));
    }
    HOLDS(feed_apart(apart, data, size) == result && ik_conntrack_listing_count(apart) == count);
    HOLDS(count == 0 || memcmp(ik_conntrack_listing_flows(apart), flows, count * sizeof(*flows)) == 0);
    ik_conntrack_listing_free(all);
    ik_conntrack_listing_free(some);
    ik_conntrack_listing_free(apart);
    return 0;
}
