/* Knows: how IPVS commands nest their attributes, and what answers them. Must not know: sockets. See ik_ipvs.h. */
#include "ik_ipvs_tables.h"

#include "ik_genl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

#define BIT(number) (UINT32_C(1) << (number))

_Static_assert(sizeof(struct ik_ipvs_service) == 88, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_real) == 64, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_daemon) == 60, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_stats) == 88, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_service_row) == 176, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_real_row) == 152, "no hidden padding");
_Static_assert(sizeof(struct ik_ipvs_request) == 160, "no hidden padding");
_Static_assert(offsetof(struct ik_ipvs_service, flags_mask) == offsetof(struct ik_ipvs_service, flags) + 4, "one attribute");

static void encode_nest(const struct ik_table *table, uint16_t nest, const void *record, uint32_t present, struct ik_writer *writer)
{
    if (present != 0) {
        size_t start = ik_nest_begin(writer, nest);
        ik_encode(table, record, writer);
        ik_nest_end(writer, start);
    }
}

static void encode_service(const struct ik_ipvs_service *service, struct ik_writer *writer)
{
    struct ik_ipvs_service turned = *service;

    if (service->family == AF_INET) {
        turned.netmask = htonl(service->netmask);
    }
    encode_nest(&ik_ipvs_service_table, IK_CMD_SERVICE, &turned, turned.present, writer);
}

static void encode_request(const struct ik_ipvs_request *request, uint16_t family, uint32_t sequence, struct ik_writer *writer)
{
    uint16_t flags = (uint16_t)(NLM_F_REQUEST | (request->flags & (NLM_F_ACK | NLM_F_DUMP)));
    size_t start = ik_genl_begin(writer, family, (uint8_t)request->command, flags, sequence);

    encode_service(&request->service, writer);
    switch (request->command) {
    case IK_NEW_DAEMON:
    case IK_DEL_DAEMON:
        encode_nest(&ik_ipvs_daemon_table, IK_CMD_DAEMON, &request->part.daemon, request->part.daemon.present, writer);
        break;
    case IK_SET_CONFIG:
        ik_encode(&ik_ipvs_config_table, &request->part.config, writer);
        break;
    default:
        encode_nest(&ik_ipvs_real_table, IK_CMD_DEST, &request->part.real, request->part.real.present, writer);
        break;
    }
    ik_message_end(writer, start);
}

long ik_ipvs_encode(const struct ik_ipvs_request *requests, size_t count, uint16_t family, uint32_t sequence, uint8_t *out, size_t room,
                    size_t *used)
{
    struct ik_writer writer;
    size_t done = 0;

    ik_writer_init(&writer, out, room);
    *used = 0;
    for (; done < count; done++) {
        if (requests[done].command < IK_NEW_SERVICE || requests[done].command > IK_FLUSH) {
            return -EINVAL;
        }
        encode_request(&requests[done], family, sequence + (uint32_t)done, &writer);
        if (writer.overflow) {
            break;
        }
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}

/* The two forms of a row's counters. Old kernels send those of 32 bits only, newer ones both; then only the wide ones are looked into. */
struct counters {
    uint16_t narrow;
    uint16_t wide;
    bool has_narrow;
    bool has_wide;
    struct ik_reader narrow_payload;
    struct ik_reader wide_payload;
};

static void take_counters(struct counters *counters, const struct ik_attr *attr)
{
    if (attr->type == counters->wide) {
        counters->has_wide = true;
        counters->wide_payload = attr->payload;
    } else if (attr->type == counters->narrow) {
        counters->has_narrow = true;
        counters->narrow_payload = attr->payload;
    }
}

static int decode_counters(const struct counters *counters, struct ik_ipvs_stats *stats, uint32_t *present)
{
    *present |= (counters->has_wide ? BIT(counters->wide) : 0) | (counters->has_narrow ? BIT(counters->narrow) : 0);
    if (counters->has_wide) {
        return ik_decode(&ik_ipvs_stats64_table, counters->wide_payload, stats);
    }
    return counters->has_narrow ? ik_decode(&ik_ipvs_stats32_table, counters->narrow_payload, stats) : 0;
}

static int decode_with_counters(const struct ik_table *table, struct ik_reader payload, void *record, struct counters *counters)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int taken = ik_decode_attr(table, &attr, record);
        if (taken < 0) {
            return taken;
        }
        if (taken == 0) {
            take_counters(counters, &attr);
        }
    }
    return more;
}

static int decode_service(struct ik_reader payload, void *out)
{
    struct ik_ipvs_service_row *row = out;
    struct counters counters = {.narrow = IK_SVC_STATS, .wide = IK_SVC_STATS64};
    int result = decode_with_counters(&ik_ipvs_service_table, payload, &row->service, &counters);

    /* A service is either a firewall mark or a place. */
    const uint32_t place = BIT(IK_SVC_PROTOCOL) | BIT(IK_SVC_ADDR) | BIT(IK_SVC_PORT);
    if (!(row->service.present & BIT(IK_SVC_FWMARK)) && (row->service.present & place) != place) {
        return -EBADMSG;
    }
    if (row->service.family == AF_INET) {
        row->service.netmask = ntohl(row->service.netmask);
    }
    return result < 0 ? result : decode_counters(&counters, &row->stats, &row->service.present);
}

static int decode_real(struct ik_reader payload, void *out)
{
    struct ik_ipvs_real_row *row = out;
    struct counters counters = {.narrow = IK_DEST_STATS, .wide = IK_DEST_STATS64};
    int result = decode_with_counters(&ik_ipvs_real_table, payload, &row->real, &counters);

    return result < 0 ? result : decode_counters(&counters, &row->stats, &row->real.present);
}

static int decode_real_config(struct ik_reader payload, void *out)
{
    struct counters unused = {.narrow = IK_DEST_STATS, .wide = IK_DEST_STATS64};

    return decode_with_counters(&ik_ipvs_real_table, payload, out, &unused);
}

static int decode_daemon(struct ik_reader payload, void *out) { return ik_decode(&ik_ipvs_daemon_table, payload, out); }

static int decode_config(struct ik_reader payload, void *out) { return ik_decode(&ik_ipvs_config_table, payload, out); }

static int decode_info(struct ik_reader payload, void *out) { return ik_decode(&ik_ipvs_info_table, payload, out); }

struct layout {
    uint8_t command; /* of the answer */
    uint8_t nest;    /* attribute that holds the record; 0: the message itself does */
    size_t size;
    uint32_t required; /* what every kernel sends: where it is missing, a 0 in its place would be a lie */
    int (*decode)(struct ik_reader payload, void *out);
};

enum {
    REAL_REQUIRED = BIT(IK_DEST_ADDR) | BIT(IK_DEST_PORT) | BIT(IK_DEST_FWD_METHOD) | BIT(IK_DEST_WEIGHT) | BIT(IK_DEST_U_THRESH) |
                    BIT(IK_DEST_L_THRESH)
};

static const struct layout layouts[IK_IPVS_ROW_KINDS] = {
    [IK_IPVS_SERVICES] = {IK_NEW_SERVICE, IK_CMD_SERVICE, sizeof(struct ik_ipvs_service_row),
                          BIT(IK_SVC_AF) | BIT(IK_SVC_SCHED_NAME) | BIT(IK_SVC_FLAGS) | BIT(IK_SVC_TIMEOUT) | BIT(IK_SVC_NETMASK),
                          decode_service},
    [IK_IPVS_REALS] = {IK_NEW_DEST, IK_CMD_DEST, sizeof(struct ik_ipvs_real_row), REAL_REQUIRED, decode_real},
    [IK_IPVS_REAL_CONFIGS] = {IK_NEW_DEST, IK_CMD_DEST, sizeof(struct ik_ipvs_real), REAL_REQUIRED, decode_real_config},
    [IK_IPVS_DAEMONS] = {IK_NEW_DAEMON, IK_CMD_DAEMON, sizeof(struct ik_ipvs_daemon),
                         BIT(IK_DAEMON_STATE) | BIT(IK_DAEMON_MCAST_IFN) | BIT(IK_DAEMON_SYNC_ID), decode_daemon},
    /* A kernel without a protocol leaves its timeouts out. */
    [IK_IPVS_CONFIG] = {IK_SET_CONFIG, 0, sizeof(struct ik_ipvs_config), 0, decode_config},
    [IK_IPVS_INFO] = {IK_SET_INFO, 0, sizeof(struct ik_ipvs_info), BIT(IK_INFO_VERSION) | BIT(IK_INFO_CONN_TAB_SIZE), decode_info},
};

union row {
    struct ik_ipvs_service_row service;
    struct ik_ipvs_real_row real;
    struct ik_ipvs_daemon daemon;
    struct ik_ipvs_config config;
    struct ik_ipvs_info info;
};

size_t ik_ipvs_row_size(int kind) { return kind < 0 || kind >= IK_IPVS_ROW_KINDS ? 0 : layouts[kind].size; }

/* Every row begins with its index and its present bits. */
static uint32_t row_present(const void *row)
{
    uint32_t present;

    memcpy(&present, (const uint8_t *)row + sizeof(uint32_t), sizeof(present));
    return present;
}

static int find_nest(struct ik_reader *payload, uint8_t nest)
{
    struct ik_attr attr;
    int more = 1;

    while (nest != 0 && (more = ik_next_attr(payload, &attr)) > 0) {
        if (attr.type == nest) {
            *payload = attr.payload;
            return 0;
        }
    }
    return nest == 0 ? 0 : -EBADMSG;
}

static int decode_message(const struct layout *layout, struct ik_message *message, void *row)
{
    if (message->payload.left < IK_GENL_HEADER || message->payload.data[0] != layout->command) {
        return -EBADMSG;
    }
    (void)ik_skip(&message->payload, IK_GENL_HEADER);
    int result = find_nest(&message->payload, layout->nest);
    result = result < 0 ? result : layout->decode(message->payload, row);
    if (result == 0 && (row_present(row) & layout->required) != layout->required) {
        return -EBADMSG;
    }
    return result;
}

long ik_ipvs_parse(int kind, const uint8_t *data, size_t length, uint16_t family, uint32_t first, void *out, size_t room)
{
    struct ik_reader reader = {.data = data, .left = length};
    struct ik_message message;
    union row row;
    long found = 0;
    int more;

    if (ik_ipvs_row_size(kind) == 0) {
        return -EINVAL;
    }
    const struct layout *layout = &layouts[kind];
    while ((more = ik_next_message(&reader, &message)) > 0) {
        if (message.type == NLMSG_ERROR || message.type == NLMSG_DONE) {
            continue;
        }
        if (message.type != family) {
            return -EBADMSG;
        }
        memset(&row, 0, sizeof(row));
        row.info.index = message.sequence - first; /* where every row has it */
        int result = decode_message(layout, &message, &row);
        if (result < 0) {
            return result;
        }
        if ((size_t)found < room) {
            memcpy((uint8_t *)out + (size_t)found * layout->size, &row, layout->size);
        }
        found++;
    }
    return more < 0 ? more : found;
}
