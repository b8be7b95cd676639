/* Network devices and their addresses over rtnetlink.
 *
 * Knows: the attributes of links and addresses that we use. Must not know: sockets, Python, which devices anybody wants.
 *
 * An address of the record is what the device itself has (IFA_LOCAL); `peer` is IFA_ADDRESS, the same but for point-to-point addresses. Addresses of
 * four bytes stand at the beginning of their sixteen.
 */
#ifndef IK_RTNL_H
#define IK_RTNL_H

#include "ik_buf.h"

enum { IK_RTNL_NAME = 16, IK_RTNL_KIND = 64 };

enum ik_rtnl_command {
    IK_RTNL_NEW_ADDRESS, /* refused with EEXIST where the device has it */
    IK_RTNL_DELETE_ADDRESS,
    IK_RTNL_NEW_LINK,    /* of `kind` under `name`; refused with EEXIST where there is a device of this name */
    IK_RTNL_CHANGE_LINK, /* the `flags` that `change` names */
    IK_RTNL_DELETE_LINK,
    IK_RTNL_GET_LINK, /* answered with one link */
};

enum ik_rtnl_flag {
    IK_RTNL_UP = 1,              /* of a link: IFF_UP */
    IK_RTNL_SECONDARY = 1,       /* of an address: it goes with its primary */
    IK_RTNL_NO_DAD = 2,          /* IPv6: usable at once */
    IK_RTNL_NO_PREFIX_ROUTE = 0x200,
};

struct ik_rtnl_address {
    uint32_t index; /* of the device */
    uint32_t flags; /* IFA_F_* */
    uint8_t family; /* AF_INET, AF_INET6 */
    uint8_t prefix;
    uint8_t scope; /* RT_SCOPE_* */
    uint8_t protocol;
    uint32_t metric;
    uint32_t valid; /* seconds; 0: not said */
    uint32_t preferred;
    uint8_t local[16];
    uint8_t peer[16];
    uint8_t broadcast[4]; /* IPv4; zero: none */
    char label[IK_RTNL_NAME];
};

struct ik_rtnl_link {
    uint32_t index; /* 0 in a request: `name` says which */
    uint32_t flags; /* IFF_* */
    uint32_t change;
    uint32_t mtu;
    char name[IK_RTNL_NAME];
    char kind[IK_RTNL_KIND]; /* "" for devices without one, such as lo */
};

/* As many messages as fit, numbered from `sequence`: how many, and their bytes in *used. -EINVAL: no such command; -ENOSPC: not even one fits. No
 * message asks for an acknowledgement. IPv6 addresses are made with IFA_F_NODAD. */
long ik_rtnl_encode_addresses(int command, const struct ik_rtnl_address *records, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                              size_t *used);
long ik_rtnl_encode_links(int command, const struct ik_rtnl_link *records, size_t count, uint32_t sequence, uint8_t *out, size_t room,
                          size_t *used);

/* The question for all addresses of both families, or for all links: its length, or -ENOSPC. */
long ik_rtnl_encode_dump(bool links, uint32_t sequence, uint8_t *out, size_t room);

/* The rows in a reply: their number (at most `room` of them are written to `out`), or -EBADMSG. Of addresses only those of the device `index` count,
 * of all devices if it is 0; addresses of other families than IPv4 and IPv6 do not count. */
long ik_rtnl_parse_addresses(const uint8_t *data, size_t length, uint32_t index, struct ik_rtnl_address *out, size_t room);
long ik_rtnl_parse_links(const uint8_t *data, size_t length, struct ik_rtnl_link *out, size_t room);

#endif
