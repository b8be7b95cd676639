/* Invariant: any records become whole, numbered messages that never leave the room they are given, or a refusal.
 *
 * Knows: ik_rtnl.h. Must not know: sockets. Input: a command (u8), room (u16, little-endian), then records.
 */
#include "fuzz.h"

#include "../ik_rtnl.h"

#include <errno.h>

enum { FIRST = UINT32_MAX - 1 }; /* numbers wrap */

static void check_messages(const uint8_t *out, size_t used, long count)
{
    struct ik_reader reader = {out, used};
    struct ik_message message;

    for (long i = 0; i < count; i++) {
        HOLDS(ik_next_message(&reader, &message) == 1);
        HOLDS(message.sequence == (uint32_t)FIRST + (uint32_t)i);
    }
    HOLDS(reader.left == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3) {
        return 0;
    }
    int command = data[0] % 8 - 1;
    size_t room = data[1] | (size_t)data[2] << 8;
    bool links = command >= IK_RTNL_NEW_LINK;
    size_t width = links ? sizeof(struct ik_rtnl_link) : sizeof(struct ik_rtnl_address);
    size_t count = (size - 3) / width, used = SIZE_MAX;
    void *records = room_for(count, width);
    uint8_t *out = room_for(room, 1);

    memcpy(records, data + 3, count * width);
    long done = links ? ik_rtnl_encode_links(command, records, count, (uint32_t)FIRST, out, room, &used)
                      : ik_rtnl_encode_addresses(command, records, count, (uint32_t)FIRST, out, room, &used);
    HOLDS(done == -EINVAL || done == -ENOSPC || (done >= 0 && (size_t)done <= count));
    HOLDS(used <= room && (done != -ENOSPC || used == 0) && (done != 0 || count == 0));
    if (done >= 0) {
        check_messages(out, used, done);
    }
    long length = ik_rtnl_encode_dump(links, 1, out, room);
    HOLDS(length == -ENOSPC || (length > 0 && (size_t)length <= room));
    free(records);
    free(out);
    return 0;
}
