/* Invariant: walking through any bytes as messages, attributes and verdicts ends, never leaves them, and either takes them to their end or refuses them
 * with -EBADMSG.
 *
 * Knows: ik_buf.h, and the verdicts of ik_socket.h. Must not know: any family. Input: raw messages.
 */
#include "fuzz.h"

#include "../ik_buf.h"
#include "../ik_socket.h"

#include <errno.h>

enum { DEEPEST = 4 };

static void inside(const struct ik_reader *part, const struct ik_reader *whole)
{
    HOLDS(part->data >= whole->data && part->left <= whole->left);
    HOLDS(part->data + part->left <= whole->data + whole->left);
}

static void walk_attributes(struct ik_reader payload, int depth)
{
    const struct ik_reader whole = payload;
    struct ik_attr attr;
    int more;

    for (;;) {
        const struct ik_reader before = payload;
        more = ik_next_attr(&payload, &attr);
        inside(&payload, &before);
        if (more <= 0) {
            break;
        }
        HOLDS(payload.left < before.left && attr.type <= 0x3FFF);
        inside(&attr.payload, &whole);
        if (depth < DEEPEST) {
            walk_attributes(attr.payload, depth + 1);
        }
    }
    HOLDS(more == -EBADMSG || (more == 0 && payload.left == 0));
}

static void walk_messages(struct ik_reader reader)
{
    const struct ik_reader whole = reader;
    struct ik_message message;
    int more;

    for (;;) {
        const struct ik_reader before = reader;
        more = ik_next_message(&reader, &message);
        if (more <= 0) {
            break;
        }
        HOLDS(reader.left < before.left);
        inside(&message.payload, &whole);
        walk_attributes(message.payload, 0);
        for (size_t header = 4; header <= 16; header += 12) {
            struct ik_reader rest = message.payload;
            int skipped = ik_skip(&rest, header);
            HOLDS(skipped == (header <= message.payload.left));
            inside(&rest, &message.payload);
            walk_attributes(rest, 0);
        }
    }
    HOLDS(more == -EBADMSG || (more == 0 && reader.left == 0));
}

static void read_answers(const uint8_t *data, size_t size)
{
    long found = ik_parse_answers(data, size, 1, NULL, 0);

    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= size / IK_MESSAGE_HEADER));
    if (found <= 0) {
        return;
    }
    struct ik_answer *answers = room_for((size_t)found, sizeof(*answers));
    HOLDS(ik_parse_answers(data, size, 1, answers, (size_t)found - 1) == found);
    HOLDS(ik_parse_answers(data, size, 1, answers, (size_t)found) == found);
    for (long i = 0; i < found; i++) {
        HOLDS(answers[i].error >= 0 && is_text(answers[i].text, sizeof(answers[i].text)));
    }
    free(answers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    walk_messages((struct ik_reader){.data = data, .left = size});
    walk_attributes((struct ik_reader){.data = data, .left = size}, 0);
    read_answers(data, size);
    return 0;
}
