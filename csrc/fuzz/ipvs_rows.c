/* Invariant: any bytes become whole rows of each kind, in which every text ends and only known attributes are marked as present, or -EBADMSG.
 *
 * Knows: ik_ipvs.h and its tables. Must not know: sockets. Input: raw messages; the family's number is the type of the first one.
 */
#include "fuzz.h"

#include "../ik_ipvs_tables.h"

#include <errno.h>

static uint32_t known(const struct ik_table *table, uint32_t others)
{
    uint32_t bits = others;

    for (size_t i = 0; i < table->count; i++) {
        bits |= UINT32_C(1) << table->specs[i].type;
    }
    return bits;
}

static void check_service(const void *row)
{
    struct ik_ipvs_service_row service;

    memcpy(&service, row, sizeof(service));
    HOLDS(is_text(service.service.scheduler, sizeof(service.service.scheduler)));
    HOLDS(is_text(service.service.engine, sizeof(service.service.engine)));
    uint32_t stats = UINT32_C(1) << IK_SVC_STATS | UINT32_C(1) << IK_SVC_STATS64;
    HOLDS((service.service.present & ~known(&ik_ipvs_service_table, stats)) == 0);
    HOLDS((service.stats.present & ~known(&ik_ipvs_stats64_table, 0)) == 0);
    HOLDS(service.stats.present == 0 || (service.service.present & stats) != 0);
}

static void check_real(const void *row)
{
    struct ik_ipvs_real_row real;

    memcpy(&real, row, sizeof(real));
    uint32_t stats = UINT32_C(1) << IK_DEST_STATS | UINT32_C(1) << IK_DEST_STATS64;
    HOLDS((real.real.present & ~known(&ik_ipvs_real_table, stats)) == 0);
    HOLDS((real.stats.present & ~known(&ik_ipvs_stats64_table, 0)) == 0);
}

static void check_daemon(const void *row)
{
    struct ik_ipvs_daemon daemon;

    memcpy(&daemon, row, sizeof(daemon));
    HOLDS(is_text(daemon.interface, sizeof(daemon.interface)));
    HOLDS((daemon.present & ~known(&ik_ipvs_daemon_table, 0)) == 0);
}

static void check_row(int kind, const uint8_t *row)
{
    switch (kind) {
    case IK_IPVS_SERVICES:
        check_service(row);
        break;
    case IK_IPVS_REALS:
        check_real(row);
        break;
    case IK_IPVS_DAEMONS:
        check_daemon(row);
        break;
    default:
        break;
    }
}

static void parse(int kind, const uint8_t *data, size_t size, uint16_t family)
{
    size_t width = ik_ipvs_row_size(kind);
    long found = ik_ipvs_parse(kind, data, size, family, 1, NULL, 0);

    HOLDS(found == -EBADMSG || (found >= 0 && (size_t)found <= size / IK_MESSAGE_HEADER));
    if (found <= 0) {
        return;
    }
    size_t count = (size_t)found;
    uint8_t *rows = room_for(count, width);
    uint8_t *fewer = room_for(count / 2, width);
    HOLDS(ik_ipvs_parse(kind, data, size, family, 1, rows, count) == found);
    HOLDS(ik_ipvs_parse(kind, data, size, family, 1, fewer, count / 2) == found);
    HOLDS(memcmp(rows, fewer, count / 2 * width) == 0);
    for (size_t i = 0; i < count; i++) {
        check_row(kind, rows + i * width);
    }
    free(rows);
    free(fewer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint16_t family = 0;

    if (size >= 6) {
        memcpy(&family, data + 4, sizeof(family));
    }
    for (int kind = 0; kind < IK_IPVS_ROW_KINDS; kind++) {
        parse(kind, data, size, family);
    }
    return 0;
}
