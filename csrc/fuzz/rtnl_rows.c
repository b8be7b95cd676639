/* Invariant: any bytes become rows of links and addresses that are possible, or -EBADMSG; those of one device are among those of all; and an address that is
 * encoded again is read as the same one.
 *
 * Knows: ik_rtnl.h. Must not know: sockets. Input: raw messages.
 */
#include "fuzz.h"

#include "../ik_rtnl.h"

#include <errno.h>
#include <sys/socket.h>

static void check_again(const struct ik_rtnl_address *row)
{
    struct ik_rtnl_address again, wanted = *row;
    size_t used = 0;
    uint8_t message[256];

    HOLDS(ik_rtnl_encode_addresses(IK_RTNL_NEW_ADDRESS, row, 1, 7, message, sizeof(message), &used) == 1);
    HOLDS(ik_rtnl_parse_addresses(message, used, row->index, &again, 1) == 1);
    if (row->family == AF_INET6) {
        wanted.flags |= IK_RTNL_NO_DAD;
        memset(wanted.label, 0, sizeof(wanted.label));
    }
    /* Without an end there is no beginning. */
    wanted.preferred = row->valid == 0 ? 0 : row->preferred;
    HOLDS(memcmp(&again, &wanted, sizeof(again)) == 0);
    HOLDS(ik_rtnl_encode_addresses(IK_RTNL_DELETE_ADDRESS, row, 1, 7, message, used - 1, &used) <= 1);
}

static void check_addresses(const uint8_t *data, size_t size)
{
    size_t most = size / IK_MESSAGE_HEADER;
    struct ik_rtnl_address *rows = room_for(most, sizeof(*rows)), *some = room_for(most / 2, sizeof(*some));
    long found = ik_rtnl_parse_addresses(data, size, 0, rows, most);

    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= most));
    HOLDS(ik_rtnl_parse_addresses(data, size, 0, NULL, 0) == found);
    HOLDS(ik_rtnl_parse_addresses(data, size, 0, some, most / 2) == found);
    for (long i = 0; i < found; i++) {
        HOLDS(rows[i].index != 0 && (rows[i].family == AF_INET || rows[i].family == AF_INET6));
        HOLDS(rows[i].prefix <= (rows[i].family == AF_INET ? 32 : 128));
        HOLDS(is_text(rows[i].label, sizeof(rows[i].label)));
        check_again(&rows[i]);
    }
    if (found > 0) {
        long own = 0;
        for (long i = 0; i < found; i++) {
            own += rows[i].index == rows[0].index;
        }
        HOLDS(ik_rtnl_parse_addresses(data, size, rows[0].index, NULL, 0) == own);
    }
    free(rows);
    free(some);
}

static void check_links(const uint8_t *data, size_t size)
{
    size_t most = size / IK_MESSAGE_HEADER, used = 0;
    struct ik_rtnl_link *rows = room_for(most, sizeof(*rows));
    long found = ik_rtnl_parse_links(data, size, rows, most);

    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= most));
    for (long i = 0; i < found; i++) {
        uint8_t message[256];
        HOLDS(rows[i].index != 0 && rows[i].index <= INT32_MAX && rows[i].name[0] != 0);
        HOLDS(is_text(rows[i].name, sizeof(rows[i].name)) && is_text(rows[i].kind, sizeof(rows[i].kind)));
        for (int command = IK_RTNL_NEW_LINK; command <= IK_RTNL_GET_LINK; command++) {
            HOLDS(ik_rtnl_encode_links(command, &rows[i], 1, 7, message, sizeof(message), &used) == 1);
        }
    }
    free(rows);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_addresses(data, size);
    check_links(data, size);
    return 0;
}
