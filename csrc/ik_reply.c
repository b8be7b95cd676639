/* Knows: a growing buffer of raw messages, and the kernel's verdicts in it. Must not know: sockets, families. See ik_socket.h. */
#include "ik_socket_private.h"

#include "ik_buf.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <string.h>

/* What a reply keeps between calls; one huge dump must not stay allocated for ever. */
enum { KEPT_CAPACITY = 4 << 20, FIRST_CAPACITY = 64 << 10 };

struct ik_reply *ik_reply_new(void) { return calloc(1, sizeof(struct ik_reply)); }

void ik_reply_free(struct ik_reply *reply)
{
    if (reply != NULL) {
        free(reply->data);
        free(reply);
    }
}

void ik_reply_reset(struct ik_reply *reply)
{
    if (reply->capacity > KEPT_CAPACITY) {
        free(reply->data);
        reply->data = NULL;
        reply->capacity = 0;
    }
    reply->length = 0;
    reply->messages = 0;
    reply->flags = 0;
}

void ik_reply_into(struct ik_reply *reply, ik_sink sink, void *context)
{
    reply->sink = sink;
    reply->context = context;
}

const uint8_t *ik_reply_data(const struct ik_reply *reply) { return reply->data; }

size_t ik_reply_length(const struct ik_reply *reply) { return reply->length; }

uint32_t ik_reply_messages(const struct ik_reply *reply) { return reply->messages; }

uint32_t ik_reply_flags(const struct ik_reply *reply) { return reply->flags; }

int ik_reply_append(struct ik_reply *reply, const uint8_t *message, size_t length)
{
    size_t padded = ik_align(length);

    if (reply->sink != NULL) {
        reply->messages++;
        return reply->sink(reply->context, message, length);
    }
    if (padded > reply->capacity - reply->length) {
        size_t capacity = reply->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : reply->capacity * 2;
        while (capacity - reply->length < padded) {
            capacity *= 2;
        }
        uint8_t *data = realloc(reply->data, capacity);
        if (data == NULL) {
            return -ENOMEM;
        }
        reply->data = data;
        reply->capacity = capacity;
    }
    memcpy(reply->data + reply->length, message, length);
    memset(reply->data + reply->length + length, 0, padded - length);
    reply->length += padded;
    reply->messages++;
    return 0;
}

/* The attributes behind an error: the kernel's text, and where in the request the trouble is. */
static int parse_extended_ack(struct ik_reader payload, struct ik_answer *out)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        if (attr.type == NLMSGERR_ATTR_MSG) {
            size_t length = strnlen((const char *)attr.payload.data, attr.payload.left);
            length = length < sizeof(out->text) - 1 ? length : sizeof(out->text) - 1;
            memcpy(out->text, attr.payload.data, length);
            out->text[length] = 0;
        } else if (attr.type == NLMSGERR_ATTR_OFFS && attr.payload.left == sizeof(out->offset)) {
            memcpy(&out->offset, attr.payload.data, sizeof(out->offset));
        }
    }
    return more;
}

/* An error is: errno i32, header of the request, the request's rest unless NLM_F_CAPPED, attributes if NLM_F_ACK_TLVS. The end of a dump is the
 * same without a copy of the request. */
static int parse_error(struct ik_message *message, struct ik_answer *out)
{
    int32_t error;
    uint32_t request_length;
    size_t copied = 0;

    if (message->payload.left < sizeof(error)) {
        return -EBADMSG;
    }
    memcpy(&error, message->payload.data, sizeof(error));
    if (error > 0 || error == INT32_MIN) {
        return -EBADMSG;
    }
    out->error = -error;
    if (!(message->flags & NLM_F_ACK_TLVS)) {
        return 0;
    }
    if (message->type == NLMSG_ERROR) {
        if (message->payload.left < sizeof(error) + IK_MESSAGE_HEADER) {
            return -EBADMSG;
        }
        memcpy(&request_length, message->payload.data + sizeof(error), sizeof(request_length));
        copied = message->flags & NLM_F_CAPPED ? (size_t)IK_MESSAGE_HEADER : ik_align(request_length);
    }
    if (!ik_skip(&message->payload, sizeof(error) + copied)) {
        return -EBADMSG;
    }
    return parse_extended_ack(message->payload, out);
}

long ik_parse_answers(const uint8_t *data, size_t length, uint32_t first, struct ik_answer *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    long found = 0;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        if (message.type != NLMSG_ERROR && message.type != NLMSG_DONE) {
            continue;
        }
        struct ik_answer answer = {.index = message.sequence - first};
        int result = parse_error(&message, &answer);
        if (result < 0) {
            return result;
        }
        if ((size_t)found < room) {
            out[found] = answer;
        }
        found++;
    }
    return more < 0 ? more : found;
}
