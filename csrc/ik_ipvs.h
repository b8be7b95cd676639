/* The IPVS codec: flat request records to messages, messages to flat rows.
 *
 * Knows: the commands and attributes of the generic-netlink family "IPVS" (uapi linux/ip_vs.h). Must not know: sockets, policy, Python.
 *
 * Numbers are in host order. A netmask is a mask for IPv4 and a prefix length for IPv6, as in the kernel. IPv4 addresses use the first four
 * bytes. Bit n of `present` stands for attribute n: in a request it says what to send, in a row what the kernel sent.
 */
#ifndef IK_IPVS_H
#define IK_IPVS_H

#include <stddef.h>
#include <stdint.h>

struct ik_ipvs_service {
    uint32_t index; /* in a row: number of the request that it answers */
    uint32_t present;
    uint16_t family;
    uint16_t protocol;
    uint16_t port;
    uint16_t reserved;
    uint32_t fwmark;
    uint8_t address[16];
    uint32_t flags;
    uint32_t flags_mask;
    uint32_t timeout;
    uint32_t netmask;
    char scheduler[16];
    char engine[20];
};

struct ik_ipvs_real {
    uint32_t index;
    uint32_t present;
    uint16_t family;
    uint16_t port;
    uint16_t tunnel_port;
    uint16_t tunnel_flags;
    uint8_t tunnel_type;
    uint8_t reserved[3];
    uint8_t address[16];
    uint32_t forwarding;
    int32_t weight;
    uint32_t upper;
    uint32_t lower;
    uint32_t active;
    uint32_t inactive;
    uint32_t persistent;
};

struct ik_ipvs_daemon {
    uint32_t index;
    uint32_t present;
    uint32_t state;
    uint32_t sync_id;
    uint16_t max_length;
    uint16_t port;
    uint8_t ttl;
    uint8_t reserved[3];
    uint8_t group[4];
    uint8_t group6[16];
    char interface[16];
};

struct ik_ipvs_config {
    uint32_t index;
    uint32_t present;
    uint32_t tcp;
    uint32_t tcp_fin;
    uint32_t udp;
};

struct ik_ipvs_info {
    uint32_t index;
    uint32_t present;
    uint32_t version;
    uint32_t table_size;
};

struct ik_ipvs_stats {
    uint32_t present;
    uint32_t reserved;
    uint64_t connections;
    uint64_t in_packets;
    uint64_t out_packets;
    uint64_t in_bytes;
    uint64_t out_bytes;
    uint64_t connection_rate;
    uint64_t in_packet_rate;
    uint64_t out_packet_rate;
    uint64_t in_byte_rate;
    uint64_t out_byte_rate;
};

struct ik_ipvs_service_row {
    struct ik_ipvs_service service;
    struct ik_ipvs_stats stats;
};

struct ik_ipvs_real_row {
    struct ik_ipvs_real real;
    struct ik_ipvs_stats stats;
};

/* One request. Which parts are sent follows from their `present` bits; daemon and config share the room of the real server. */
struct ik_ipvs_request {
    uint32_t command;
    uint32_t flags; /* NLM_F_ACK, NLM_F_DUMP */
    struct ik_ipvs_service service;
    union {
        struct ik_ipvs_real real;
        struct ik_ipvs_daemon daemon;
        struct ik_ipvs_config config;
    } part;
};

/* Messages for as many of the requests as fit, numbered from `sequence`: how many, and *used bytes; -ENOSPC: not even the first does; -EINVAL: no such
 * command. */
long ik_ipvs_encode(const struct ik_ipvs_request *requests, size_t count, uint16_t family, uint32_t sequence, uint8_t *out, size_t room,
                    size_t *used);

/* A real server's row may be had without its stats: reading only what is configured then moves less than half of the memory. */
enum ik_ipvs_row_kind {
    IK_IPVS_SERVICES,
    IK_IPVS_REALS,
    IK_IPVS_REAL_CONFIGS, /* struct ik_ipvs_real */
    IK_IPVS_DAEMONS,
    IK_IPVS_CONFIG,
    IK_IPVS_INFO,
    IK_IPVS_ROW_KINDS,
};

/* Bytes of one row of this kind; 0: no such kind. */
size_t ik_ipvs_row_size(int kind);

/* Rows from raw messages: their number, at most `room` of them written to `out`; -EBADMSG: not what the kernel sends for this kind. */
long ik_ipvs_parse(int kind, const uint8_t *data, size_t length, uint16_t family, uint32_t first, void *out, size_t room);

#endif
