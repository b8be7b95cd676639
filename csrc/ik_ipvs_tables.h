/* Knows: the numbers, kinds and byte orders of all IPVS attributes. Private to the IPVS codec; ik_ipvs_uapi.c checks the numbers against the kernel's header. */
#ifndef IK_IPVS_TABLES_H
#define IK_IPVS_TABLES_H

#include "ik_ipvs.h"
#include "ik_table.h"

enum ik_ipvs_command {
    IK_NEW_SERVICE = 1,
    IK_SET_SERVICE,
    IK_DEL_SERVICE,
    IK_GET_SERVICE,
    IK_NEW_DEST,
    IK_SET_DEST,
    IK_DEL_DEST,
    IK_GET_DEST,
    IK_NEW_DAEMON,
    IK_DEL_DAEMON,
    IK_GET_DAEMON,
    IK_SET_CONFIG,
    IK_GET_CONFIG,
    IK_SET_INFO,
    IK_GET_INFO,
    IK_ZERO,
    IK_FLUSH,
};

enum ik_ipvs_nest { IK_CMD_SERVICE = 1, IK_CMD_DEST = 2, IK_CMD_DAEMON = 3 };

enum ik_ipvs_config_attr { IK_TIMEOUT_TCP = 4, IK_TIMEOUT_TCP_FIN = 5, IK_TIMEOUT_UDP = 6 };

enum ik_ipvs_service_attr {
    IK_SVC_AF = 1,
    IK_SVC_PROTOCOL,
    IK_SVC_ADDR,
    IK_SVC_PORT,
    IK_SVC_FWMARK,
    IK_SVC_SCHED_NAME,
    IK_SVC_FLAGS,
    IK_SVC_TIMEOUT,
    IK_SVC_NETMASK,
    IK_SVC_STATS,
    IK_SVC_PE_NAME,
    IK_SVC_STATS64,
};

enum ik_ipvs_dest_attr {
    IK_DEST_ADDR = 1,
    IK_DEST_PORT,
    IK_DEST_FWD_METHOD,
    IK_DEST_WEIGHT,
    IK_DEST_U_THRESH,
    IK_DEST_L_THRESH,
    IK_DEST_ACTIVE_CONNS,
    IK_DEST_INACT_CONNS,
    IK_DEST_PERSIST_CONNS,
    IK_DEST_STATS,
    IK_DEST_ADDR_FAMILY,
    IK_DEST_STATS64,
    IK_DEST_TUN_TYPE,
    IK_DEST_TUN_PORT,
    IK_DEST_TUN_FLAGS,
};

enum ik_ipvs_daemon_attr {
    IK_DAEMON_STATE = 1,
    IK_DAEMON_MCAST_IFN,
    IK_DAEMON_SYNC_ID,
    IK_DAEMON_SYNC_MAXLEN,
    IK_DAEMON_MCAST_GROUP,
    IK_DAEMON_MCAST_GROUP6,
    IK_DAEMON_MCAST_PORT,
    IK_DAEMON_MCAST_TTL,
};

enum ik_ipvs_stats_attr {
    IK_STATS_CONNS = 1,
    IK_STATS_INPKTS,
    IK_STATS_OUTPKTS,
    IK_STATS_INBYTES,
    IK_STATS_OUTBYTES,
    IK_STATS_CPS,
    IK_STATS_INPPS,
    IK_STATS_OUTPPS,
    IK_STATS_INBPS,
    IK_STATS_OUTBPS,
};

enum ik_ipvs_info_attr { IK_INFO_VERSION = 1, IK_INFO_CONN_TAB_SIZE };

extern const struct ik_table ik_ipvs_service_table;
extern const struct ik_table ik_ipvs_real_table;
extern const struct ik_table ik_ipvs_daemon_table;
extern const struct ik_table ik_ipvs_config_table;
extern const struct ik_table ik_ipvs_info_table;
extern const struct ik_table ik_ipvs_stats32_table;
extern const struct ik_table ik_ipvs_stats64_table;

#endif
