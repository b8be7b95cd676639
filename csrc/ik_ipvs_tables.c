/* Knows: which IPVS attribute is which field, and how it looks on the wire. Data only. See ik_ipvs_tables.h. */
#include "ik_ipvs_tables.h"

#define SERVICE(field, number, kind) IK_FIELD(struct ik_ipvs_service, field, number, kind)
#define REAL(field, number, kind) IK_FIELD(struct ik_ipvs_real, field, number, kind)
#define DAEMON(field, number, kind) IK_FIELD(struct ik_ipvs_daemon, field, number, kind)
#define CONFIG(field, number, kind) IK_FIELD(struct ik_ipvs_config, field, number, kind)
#define INFO(field, number, kind) IK_FIELD(struct ik_ipvs_info, field, number, kind)
#define STATS(field, number, kind) IK_FIELD(struct ik_ipvs_stats, field, number, kind)

static const struct ik_attr_spec service[] = {
    SERVICE(family, IK_SVC_AF, IK_U16),
    SERVICE(protocol, IK_SVC_PROTOCOL, IK_U16),
    SERVICE(address, IK_SVC_ADDR, IK_UP_TO),
    SERVICE(port, IK_SVC_PORT, IK_BE16),
    SERVICE(fwmark, IK_SVC_FWMARK, IK_U32),
    SERVICE(scheduler, IK_SVC_SCHED_NAME, IK_TEXT),
    /* Two u32 in one attribute: the flags, and the mask of those that count. */
    {.type = IK_SVC_FLAGS, .kind = IK_EXACT, .size = 8, .offset = offsetof(struct ik_ipvs_service, flags)},
    SERVICE(timeout, IK_SVC_TIMEOUT, IK_U32),
    /* Its byte order depends on the family: ik_ipvs.c turns it. */
    SERVICE(netmask, IK_SVC_NETMASK, IK_U32),
    SERVICE(engine, IK_SVC_PE_NAME, IK_TEXT),
};

static const struct ik_attr_spec real[] = {
    REAL(address, IK_DEST_ADDR, IK_UP_TO),
    REAL(port, IK_DEST_PORT, IK_BE16),
    REAL(forwarding, IK_DEST_FWD_METHOD, IK_U32),
    REAL(weight, IK_DEST_WEIGHT, IK_U32),
    REAL(upper, IK_DEST_U_THRESH, IK_U32),
    REAL(lower, IK_DEST_L_THRESH, IK_U32),
    REAL(active, IK_DEST_ACTIVE_CONNS, IK_U32),
    REAL(inactive, IK_DEST_INACT_CONNS, IK_U32),
    REAL(persistent, IK_DEST_PERSIST_CONNS, IK_U32),
    REAL(family, IK_DEST_ADDR_FAMILY, IK_U16),
    REAL(tunnel_type, IK_DEST_TUN_TYPE, IK_U8),
    REAL(tunnel_port, IK_DEST_TUN_PORT, IK_BE16),
    REAL(tunnel_flags, IK_DEST_TUN_FLAGS, IK_U16),
};

static const struct ik_attr_spec daemon[] = {
    DAEMON(state, IK_DAEMON_STATE, IK_U32),
    DAEMON(interface, IK_DAEMON_MCAST_IFN, IK_TEXT),
    DAEMON(sync_id, IK_DAEMON_SYNC_ID, IK_U32),
    DAEMON(max_length, IK_DAEMON_SYNC_MAXLEN, IK_U16),
    DAEMON(group, IK_DAEMON_MCAST_GROUP, IK_EXACT),
    DAEMON(group6, IK_DAEMON_MCAST_GROUP6, IK_EXACT),
    /* Host order, unlike every other port. */
    DAEMON(port, IK_DAEMON_MCAST_PORT, IK_U16),
    DAEMON(ttl, IK_DAEMON_MCAST_TTL, IK_U8),
};

static const struct ik_attr_spec config[] = {
    CONFIG(tcp, IK_TIMEOUT_TCP, IK_U32),
    CONFIG(tcp_fin, IK_TIMEOUT_TCP_FIN, IK_U32),
    CONFIG(udp, IK_TIMEOUT_UDP, IK_U32),
};

static const struct ik_attr_spec info[] = {
    INFO(version, IK_INFO_VERSION, IK_U32),
    INFO(table_size, IK_INFO_CONN_TAB_SIZE, IK_U32),
};

static const struct ik_attr_spec stats32[] = {
    STATS(connections, IK_STATS_CONNS, IK_U32_U64),      STATS(in_packets, IK_STATS_INPKTS, IK_U32_U64),
    STATS(out_packets, IK_STATS_OUTPKTS, IK_U32_U64),    STATS(in_bytes, IK_STATS_INBYTES, IK_U64),
    STATS(out_bytes, IK_STATS_OUTBYTES, IK_U64),         STATS(connection_rate, IK_STATS_CPS, IK_U32_U64),
    STATS(in_packet_rate, IK_STATS_INPPS, IK_U32_U64),   STATS(out_packet_rate, IK_STATS_OUTPPS, IK_U32_U64),
    STATS(in_byte_rate, IK_STATS_INBPS, IK_U32_U64),     STATS(out_byte_rate, IK_STATS_OUTBPS, IK_U32_U64),
};

static const struct ik_attr_spec stats64[] = {
    STATS(connections, IK_STATS_CONNS, IK_U64),      STATS(in_packets, IK_STATS_INPKTS, IK_U64),
    STATS(out_packets, IK_STATS_OUTPKTS, IK_U64),    STATS(in_bytes, IK_STATS_INBYTES, IK_U64),
    STATS(out_bytes, IK_STATS_OUTBYTES, IK_U64),     STATS(connection_rate, IK_STATS_CPS, IK_U64),
    STATS(in_packet_rate, IK_STATS_INPPS, IK_U64),   STATS(out_packet_rate, IK_STATS_OUTPPS, IK_U64),
    STATS(in_byte_rate, IK_STATS_INBPS, IK_U64),     STATS(out_byte_rate, IK_STATS_OUTBPS, IK_U64),
};

const struct ik_table ik_ipvs_service_table = IK_TABLE(struct ik_ipvs_service, service);
const struct ik_table ik_ipvs_real_table = IK_TABLE(struct ik_ipvs_real, real);
const struct ik_table ik_ipvs_daemon_table = IK_TABLE(struct ik_ipvs_daemon, daemon);
const struct ik_table ik_ipvs_config_table = IK_TABLE(struct ik_ipvs_config, config);
const struct ik_table ik_ipvs_info_table = IK_TABLE(struct ik_ipvs_info, info);
const struct ik_table ik_ipvs_stats32_table = IK_TABLE(struct ik_ipvs_stats, stats32);
const struct ik_table ik_ipvs_stats64_table = IK_TABLE(struct ik_ipvs_stats, stats64);
