/* Invariant: any records become whole, numbered messages that never leave the room they are given, or a refusal.
 *
 * Knows: ik_conntrack.h. Must not know: sockets. Input: family (u8), protocol (u8), room (u16, little-endian), then records.
 */
#include "fuzz.h"

#include "../ik_conntrack.h"

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
    if (size < 4) {
        return 0;
    }
    size_t room = data[2] | (size_t)data[3] << 8, used = SIZE_MAX;
    size_t count = (size - 4) / sizeof(struct ik_conntrack_flow);
    struct ik_conntrack_flow *flows = room_for(count, sizeof(*flows));
    uint8_t *out = room_for(room, 1);

    memcpy(flows, data + 4, count * sizeof(*flows));
    long done = ik_conntrack_encode_deletes(flows, count, (uint32_t)FIRST, out, room, &used);
    HOLDS(done == -EINVAL || done == -ENOSPC || (done >= 0 && (size_t)done <= count));
    HOLDS(used <= room && (done != -ENOSPC || used == 0) && (done != 0 || count == 0));
    if (done >= 0) {
        check_messages(out, used, done);
    }
    long length = ik_conntrack_encode_dump(data[0], data[1], (uint32_t)FIRST, out, room);
    HOLDS(length == -EINVAL || length == -ENOSPC || (length > 0 && (size_t)length <= room));
    if (length > 0) {
        check_messages(out, (size_t)length, 1);
    }
    free(flows);
    free(out);
    return 0;
}
