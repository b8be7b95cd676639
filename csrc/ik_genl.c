/* Knows: the generic-netlink header and its controller. See ik_genl.h. */
#include "ik_genl.h"

#include <errno.h>
#include <linux/genetlink.h>
#include <string.h>

_Static_assert(sizeof(struct genlmsghdr) == IK_GENL_HEADER, "generic netlink header");
_Static_assert(GENL_NAMSIZ == IK_GENL_NAME, "family name");

size_t ik_genl_begin(struct ik_writer *writer, uint16_t family, uint8_t command, uint16_t flags, uint32_t sequence)
{
    size_t start = ik_message_begin(writer, family, flags, sequence);
    struct genlmsghdr header = {.cmd = command, .version = 1};
    uint8_t *room = ik_put_room(writer, sizeof(header));

    if (room != NULL) {
        memcpy(room, &header, sizeof(header));
    }
    return start;
}

long ik_genl_encode_resolve(const char *name, uint32_t sequence, uint8_t *out, size_t room)
{
    size_t length = strnlen(name, IK_GENL_NAME);
    struct ik_writer writer;

    if (length == 0 || length == IK_GENL_NAME) {
        return -EINVAL;
    }
    ik_writer_init(&writer, out, room);
    size_t start = ik_genl_begin(&writer, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, NLM_F_REQUEST, sequence);
    ik_put_attr(&writer, CTRL_ATTR_FAMILY_NAME, name, length + 1);
    ik_message_end(&writer, start);
    return writer.overflow ? -ENOSPC : (long)writer.length;
}

long ik_genl_parse_resolve(const uint8_t *data, size_t length)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    struct ik_attr attr;
    int more;

    while ((more = ik_next_message(&reader, &message)) > 0) {
        if (message.type != GENL_ID_CTRL) {
            continue;
        }
        if (!ik_skip(&message.payload, IK_GENL_HEADER)) {
            return -EBADMSG;
        }
        while ((more = ik_next_attr(&message.payload, &attr)) > 0) {
            uint16_t number;
            if (attr.type == CTRL_ATTR_FAMILY_ID && attr.payload.left == sizeof(number)) {
                memcpy(&number, attr.payload.data, sizeof(number));
                return number;
            }
        }
        if (more < 0) {
            return more;
        }
    }
    return more < 0 ? more : -ENOENT;
}
