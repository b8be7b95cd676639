/* Invariant: any request records become whole, well-formed messages that never leave the room they are given, or a refusal; and what adds an object is read
 * back as the same object.
 *
 * Knows: ik_ipvs.h and its tables. Must not know: sockets. Input: room (u16, little-endian), then request records.
 */
#include "fuzz.h"

#include "../ik_genl.h"
#include "../ik_ipvs_tables.h"

#include <errno.h>
#include <linux/netlink.h>

enum { FAMILY = 0x1234, MOST = 64 };
static const uint32_t first = UINT32_MAX - 1; /* numbers wrap */

static void well_formed(struct ik_reader payload, bool nests)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        if (nests && attr.type <= IK_CMD_DAEMON) {
            well_formed(attr.payload, false);
        }
    }
    HOLDS(more == 0);
}

/* Every field that was asked to be sent arrives. */
static void same_fields(const struct ik_table *table, uint32_t present, const void *sent, const void *found)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct ik_attr_spec *spec = &table->specs[i];
        const char *one = (const char *)sent + spec->offset;
        const char *other = (const char *)found + spec->offset;
        if ((present & UINT32_C(1) << spec->type) == 0) {
            continue;
        }
        HOLDS(spec->kind == IK_TEXT ? strncmp(one, other, spec->size - 1u) == 0 : memcmp(one, other, spec->size) == 0);
    }
}

static void read_back(const struct ik_ipvs_request *request, const uint8_t *message, size_t length)
{
    static const struct {
        uint32_t command;
        int kind;
        const struct ik_table *table;
        size_t offset;
    } twins[] = {
        {IK_NEW_SERVICE, IK_IPVS_SERVICES, &ik_ipvs_service_table, offsetof(struct ik_ipvs_request, service)},
        {IK_NEW_DEST, IK_IPVS_REALS, &ik_ipvs_real_table, offsetof(struct ik_ipvs_request, part)},
        {IK_NEW_DAEMON, IK_IPVS_DAEMONS, &ik_ipvs_daemon_table, offsetof(struct ik_ipvs_request, part)},
        {IK_SET_CONFIG, IK_IPVS_CONFIG, &ik_ipvs_config_table, offsetof(struct ik_ipvs_request, part)},
    };

    for (size_t i = 0; i < sizeof(twins) / sizeof(twins[0]); i++) {
        const uint8_t *sent = (const uint8_t *)request + twins[i].offset;
        struct ik_ipvs_service_row row;
        uint32_t present;
        if (request->command != twins[i].command) {
            continue;
        }
        memcpy(&present, sent + twins[i].table->present_offset, sizeof(present));
        long found = ik_ipvs_parse(twins[i].kind, message, length, FAMILY, first, &row, 1);
        HOLDS(found == 1 || found == -EBADMSG);
        HOLDS(found == 1 || present != UINT32_MAX);
        if (found == 1) {
            same_fields(twins[i].table, present, sent, &row);
        }
    }
}

static void check_messages(const struct ik_ipvs_request *requests, size_t count, const uint8_t *out, size_t length)
{
    struct ik_reader reader = {.data = out, .left = length};
    struct ik_message message;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *start = reader.data;
        HOLDS(ik_next_message(&reader, &message) == 1);
        HOLDS(message.type == FAMILY && message.sequence == first + (uint32_t)i);
        HOLDS((message.flags & ~(NLM_F_ACK | NLM_F_DUMP)) == NLM_F_REQUEST);
        HOLDS(message.payload.left >= IK_GENL_HEADER && message.payload.data[0] == requests[i].command);
        read_back(&requests[i], start, (size_t)(reader.data - start));
        HOLDS(ik_skip(&message.payload, IK_GENL_HEADER));
        well_formed(message.payload, true);
    }
    HOLDS(reader.left == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    size_t room = data[0] | (size_t)data[1] << 8;
    size_t count = (size - 2) / sizeof(struct ik_ipvs_request);
    count = count < MOST ? count : MOST;
    struct ik_ipvs_request *requests = room_for(count, sizeof(*requests));
    uint8_t *out = room_for(room, 1);
    size_t used = SIZE_MAX;

    memcpy(requests, data + 2, count * sizeof(*requests));
    long done = ik_ipvs_encode(requests, count, FAMILY, first, out, room, &used);
    HOLDS(done == -EINVAL || done == -ENOSPC || (done >= 0 && (size_t)done <= count));
    HOLDS(used <= room && (done != -ENOSPC || used == 0) && (done != 0 || count == 0));
    if (done > 0) {
        check_messages(requests, (size_t)done, out, used);
    }
    free(requests);
    free(out);
    return 0;
}
