/* Invariant: any bytes give a family's number of 16 bits, or -EBADMSG, or -ENOENT; and a name becomes one whole message or a refusal, whatever the room.
 *
 * Knows: ik_genl.h. Must not know: any other family. Input: raw messages; their beginning also serves as a name.
 */
#include "fuzz.h"

#include "../ik_genl.h"

#include <errno.h>

static void read_number(const uint8_t *data, size_t size)
{
    long number = ik_genl_parse_resolve(data, size);

    HOLDS(number == -EBADMSG || number == -ENOENT || (number >= 0 && number <= UINT16_MAX));
}

static void write_question(const uint8_t *data, size_t size)
{
    char name[2 * IK_GENL_NAME] = {0};
    size_t room = size % 64;
    uint8_t *out = room_for(room, 1);

    memcpy(name, data, size < sizeof(name) - 1 ? size : sizeof(name) - 1);
    long length = ik_genl_encode_resolve(name, 1, out, room);
    HOLDS(length == -EINVAL || length == -ENOSPC || (length > 0 && (size_t)length <= room));
    HOLDS((length == -EINVAL) == (strlen(name) == 0 || strlen(name) >= IK_GENL_NAME));
    if (length > 0) {
        struct ik_reader reader = {.data = out, .left = (size_t)length};
        struct ik_message message;
        struct ik_attr attr;
        HOLDS(ik_next_message(&reader, &message) == 1 && reader.left == 0);
        HOLDS(ik_skip(&message.payload, IK_GENL_HEADER) && ik_next_attr(&message.payload, &attr) == 1);
        HOLDS(attr.payload.left == strlen(name) + 1 && memcmp(attr.payload.data, name, attr.payload.left) == 0);
    }
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_number(data, size);
    write_question(data, size);
    return 0;
}
