/* What answers single commands of ipset, and their refusals.
 *
 * Knows: replies as messages. Must not know: dumps (ik_ipset_listing.c), sockets. See ik_ipset.h.
 */
#include "ik_ipset_wire.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

static int decode_answer(struct ik_reader payload, struct ik_ipset_set *out)
{
    struct ik_attr attr;
    int more;

    if (!ik_skip(&payload, IK_NFGENMSG)) {
        return -EBADMSG;
    }
    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = ik_ipset_decode_set_attr(&attr, out);
        if (result < 0) {
            return result;
        }
    }
    return more;
}

long ik_ipset_parse(const uint8_t *data, size_t length, uint32_t first, struct ik_ipset_set *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    long found = 0;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        struct ik_ipset_set set = {.index = message.sequence - first};
        if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
            continue;
        }
        if (message.type >> 8 != IK_IPSET_SUBSYS || decode_answer(message.payload, &set) < 0) {
            return -EBADMSG;
        }
        if ((size_t)found < room) {
            out[found] = set;
        }
        found++;
    }
    return more < 0 ? more : found;
}

/* The copy of the request in a refusal has the place of the element, where the kernel knows it. */
static uint32_t line_of(struct ik_reader copy)
{
    struct ik_attr attr;
    uint32_t line = 0;

    if (!ik_skip(&copy, IK_MESSAGE_HEADER + IK_NFGENMSG)) {
        return 0;
    }
    while (ik_next_attr(&copy, &attr) > 0 && attr.type != IK_A_ADT) {
        if (attr.type == IK_A_LINENO && attr.payload.left == sizeof(line)) {
            memcpy(&line, attr.payload.data, sizeof(line));
        }
    }
    return line;
}

static int parse_refusal(struct ik_message *message, struct ik_ipset_failure *out)
{
    int32_t error;
    struct nlmsghdr request;

    if (!(message->payload.left >= sizeof(error) + sizeof(request))) {
        return -EBADMSG;
    }
    memcpy(&error, message->payload.data, sizeof(error));
    memcpy(&request, message->payload.data + sizeof(error), sizeof(request));
    if (error == INT32_MIN) {
        return -EBADMSG;
    }
    /* Types that mistake their own check for an error number answer with 1: refused, and why is not known. */
    out->error = error > 0 ? EPROTO : (uint32_t)-error;
    (void)ik_skip(&message->payload, sizeof(error));
    if (message->flags & NLM_F_CAPPED || request.nlmsg_len > message->payload.left) {
        return 0;
    }
    message->payload.left = request.nlmsg_len;
    out->line = line_of(message->payload);
    return 0;
}

long ik_ipset_failures(const uint8_t *data, size_t length, uint32_t first, struct ik_ipset_failure *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    long found = 0;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        struct ik_ipset_failure failure = {.index = message.sequence - first};
        if (message.type != NLMSG_ERROR) {
            continue;
        }
        if (parse_refusal(&message, &failure) < 0) {
            return -EBADMSG;
        }
        if (failure.error == 0) {
            continue;
        }
        if ((size_t)found < room) {
            out[found] = failure;
        }
        found++;
    }
    return more < 0 ? more : found;
}

long ik_ipset_split(const uint8_t *data, size_t length, uint32_t error, uint32_t *places, size_t room, struct ik_ipset_failure *others,
                    size_t others_room, size_t *other_count)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    long found = 0;
    int more;

    *other_count = 0;
    while ((more = ik_next_message(&reader, &message)) > 0) {
        struct ik_ipset_failure failure = {.index = message.sequence};
        if (message.type != NLMSG_ERROR) {
            continue;
        }
        if (parse_refusal(&message, &failure) < 0) {
            return -EBADMSG;
        }
        if (failure.error == error) {
            if ((size_t)found < room) {
                places[found] = failure.index;
            }
            found++;
        } else if (failure.error != 0) {
            if (*other_count < others_room) {
                others[*other_count] = failure;
            }
            ++*other_count;
        }
    }
    return more < 0 ? more : found;
}
