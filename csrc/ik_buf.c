/* Knows: how netlink lays out messages and attributes. Must not know: what they mean. See ik_buf.h. */
#include "ik_buf.h"

#include <errno.h>
#include <linux/netlink.h>
#include <string.h>

_Static_assert(sizeof(struct nlmsghdr) == IK_MESSAGE_HEADER, "message header");
_Static_assert(sizeof(struct nlattr) == IK_ATTR_HEADER, "attribute header");

void ik_writer_init(struct ik_writer *writer, uint8_t *data, size_t capacity)
{
    writer->data = data;
    writer->length = 0;
    writer->capacity = capacity;
    writer->overflow = false;
}

uint8_t *ik_put_room(struct ik_writer *writer, size_t length)
{
    size_t padded = ik_align(length);

    if (writer->overflow || padded < length || padded > writer->capacity - writer->length) {
        writer->overflow = true;
        return NULL;
    }
    uint8_t *room = writer->data + writer->length;
    memset(room, 0, padded);
    writer->length += padded;
    return room;
}

void ik_put_attr(struct ik_writer *writer, uint16_t type, const void *payload, size_t length)
{
    if (length > UINT16_MAX - IK_ATTR_HEADER) {
        writer->overflow = true;
        return;
    }
    uint8_t *room = ik_put_room(writer, IK_ATTR_HEADER + length);
    if (room == NULL) {
        return;
    }
    struct nlattr header = {.nla_len = (uint16_t)(IK_ATTR_HEADER + length), .nla_type = type};
    memcpy(room, &header, sizeof(header));
    if (length > 0) {
        memcpy(room + IK_ATTR_HEADER, payload, length);
    }
}

size_t ik_message_begin(struct ik_writer *writer, uint16_t type, uint16_t flags, uint32_t sequence)
{
    size_t start = writer->length;
    uint8_t *room = ik_put_room(writer, IK_MESSAGE_HEADER);

    if (room != NULL) {
        struct nlmsghdr header = {.nlmsg_type = type, .nlmsg_flags = flags, .nlmsg_seq = sequence};
        memcpy(room, &header, sizeof(header));
    }
    return start;
}

size_t ik_nest_begin(struct ik_writer *writer, uint16_t type)
{
    size_t start = writer->length;

    ik_put_attr(writer, (uint16_t)(type | NLA_F_NESTED), NULL, 0);
    return start;
}

void ik_message_end(struct ik_writer *writer, size_t start)
{
    size_t length = writer->length - start;

    if (length > UINT32_MAX) {
        writer->overflow = true;
    }
    if (!writer->overflow) {
        uint32_t field = (uint32_t)length;
        memcpy(writer->data + start + offsetof(struct nlmsghdr, nlmsg_len), &field, sizeof(field));
    }
}

void ik_nest_end(struct ik_writer *writer, size_t start)
{
    size_t length = writer->length - start;

    if (length > UINT16_MAX) {
        writer->overflow = true;
    }
    if (!writer->overflow) {
        uint16_t field = (uint16_t)length;
        memcpy(writer->data + start + offsetof(struct nlattr, nla_len), &field, sizeof(field));
    }
}

bool ik_skip(struct ik_reader *reader, size_t length)
{
    if (length > reader->left) {
        return false;
    }
    reader->data += length;
    reader->left -= length;
    return true;
}

/* The last message or attribute of a buffer may come without its padding. */
static void step(struct ik_reader *reader, size_t length)
{
    size_t padded = ik_align(length);

    (void)ik_skip(reader, padded < reader->left ? padded : reader->left);
}

int ik_next_message(struct ik_reader *reader, struct ik_message *out)
{
    struct nlmsghdr header;

    if (reader->left == 0) {
        return 0;
    }
    if (reader->left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, reader->data, sizeof(header));
    if (header.nlmsg_len < sizeof(header) || header.nlmsg_len > reader->left) {
        return -EBADMSG;
    }
    out->type = header.nlmsg_type;
    out->flags = header.nlmsg_flags;
    out->sequence = header.nlmsg_seq;
    out->port = header.nlmsg_pid;
    out->payload.data = reader->data + sizeof(header);
    out->payload.left = header.nlmsg_len - sizeof(header);
    step(reader, header.nlmsg_len);
    return 1;
}

int ik_next_attr(struct ik_reader *reader, struct ik_attr *out)
{
    struct nlattr header;

    if (reader->left == 0) {
        return 0;
    }
    if (reader->left < sizeof(header)) {
        return -EBADMSG;
    }
    memcpy(&header, reader->data, sizeof(header));
    if (header.nla_len < sizeof(header) || header.nla_len > reader->left) {
        return -EBADMSG;
    }
    out->type = header.nla_type & (uint16_t)NLA_TYPE_MASK;
    out->network_order = (header.nla_type & NLA_F_NET_BYTEORDER) != 0;
    out->payload.data = reader->data + sizeof(header);
    out->payload.left = (size_t)header.nla_len - sizeof(header);
    step(reader, header.nla_len);
    return 1;
}
