/* What the files that speak ctnetlink share: numbers that older headers lack, and what families and protocols there are.
 *
 * Knows: linux/netfilter/nfnetlink_conntrack.h. Must not know: sockets.
 */
#ifndef IK_CONNTRACK_WIRE_H
#define IK_CONNTRACK_WIRE_H

#include "ik_conntrack.h"

#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/version.h>
#include <netinet/in.h>
#include <sys/socket.h>

enum { IK_CTA_TUPLE_ZONE = 3, IK_CTA_FILTER = 25, IK_CTA_FILTER_ORIG_FLAGS = 1 };

#if LINUX_VERSION_CODE >= KERNEL_VERSION(4, 3, 0)
_Static_assert((int)IK_CTA_TUPLE_ZONE == (int)CTA_TUPLE_ZONE, "CTA_TUPLE_ZONE");
#endif
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)
_Static_assert((int)IK_CTA_FILTER == (int)CTA_FILTER, "CTA_FILTER");
_Static_assert((int)IK_CTA_FILTER_ORIG_FLAGS == (int)CTA_FILTER_ORIG_FLAGS, "CTA_FILTER_ORIG_FLAGS");
#endif

/* Of the flags of a filter, that the protocol's number counts. No header has it, but it cannot change. */
enum { IK_CT_FILTER_PROTOCOL = 1 << 3 };

static inline uint16_t ik_ct_message(int command) { return (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | command); }

/* Bytes that an address of the family has; 0 for families that we do not know. */
static inline size_t ik_ct_width(uint8_t family) { return family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0; }

static inline bool ik_ct_has_ports(uint8_t protocol)
{
    return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP;
}

#endif
