/* What the files that speak ipset's protocol share: numbers, and reading without calls.
 *
 * Knows: linux/netfilter/ipset/ip_set.h by number, checked in ik_ipset_uapi.c. Must not know: sockets, tables.
 */
#ifndef IK_IPSET_WIRE_H
#define IK_IPSET_WIRE_H

#include "ik_buf.h"
#include "ik_ipset.h"

enum { IK_NFGENMSG = 4, IK_IPSET_SUBSYS = 6, IK_IPSET_PROTOCOL = 7, IK_NBO = 0x4000, IK_NESTED = 0x8000, IK_TYPE_MASK = 0x3fff };

enum ik_ipset_cmd {
    IK_CMD_PROTOCOL = 1,
    IK_CMD_CREATE,
    IK_CMD_DESTROY,
    IK_CMD_FLUSH,
    IK_CMD_RENAME,
    IK_CMD_SWAP,
    IK_CMD_LIST,
    IK_CMD_SAVE,
    IK_CMD_ADD,
    IK_CMD_DEL,
    IK_CMD_TEST,
    IK_CMD_HEADER,
    IK_CMD_TYPE,
    IK_CMD_GET_BYNAME,
    IK_CMD_GET_BYINDEX,
};

enum ik_ipset_cmd_attr {
    IK_A_PROTOCOL = 1,
    IK_A_SETNAME,
    IK_A_TYPENAME,
    IK_A_REVISION,
    IK_A_FAMILY,
    IK_A_FLAGS,
    IK_A_DATA,
    IK_A_ADT,
    IK_A_LINENO,
    IK_A_LEAST,
    IK_A_INDEX,
};

enum ik_ipset_data_attr {
    IK_D_IP = 1,
    IK_D_IP_TO,
    IK_D_CIDR,
    IK_D_PORT,
    IK_D_PORT_TO,
    IK_D_TIMEOUT,
    IK_D_PROTO,
    IK_D_CADT_FLAGS,
    IK_D_LINENO,
    IK_D_MARK,
    IK_D_MARKMASK,
    IK_D_BITMASK,
    /* of sets */
    IK_D_INITVAL = 17,
    IK_D_HASHSIZE,
    IK_D_MAXELEM,
    IK_D_NETMASK,
    IK_D_BUCKETSIZE,
    IK_D_RESIZE,
    IK_D_SIZE,
    IK_D_ELEMENTS,
    IK_D_REFERENCES,
    IK_D_MEMSIZE,
    /* of elements */
    IK_D_ETHER = 17,
    IK_D_NAME,
    IK_D_NAMEREF,
    IK_D_IP2,
    IK_D_CIDR2,
    IK_D_IP2_TO,
    IK_D_IFACE,
    IK_D_BYTES,
    IK_D_PACKETS,
    IK_D_COMMENT,
    IK_D_SKBMARK,
    IK_D_SKBPRIO,
    IK_D_SKBQUEUE,
};

enum { IK_IPADDR_IPV4 = 1, IK_IPADDR_IPV6 = 2 };

enum ik_ipset_element_flag { IK_F_BEFORE = 1, IK_F_PHYSDEV = 2, IK_F_NOMATCH = 4, IK_F_WILDCARD = 128 };

/* A message up to and with the protocol's number; its start. */
size_t ik_ipset_begin(struct ik_writer *writer, uint32_t command, uint32_t flags, uint32_t sequence);

/* The attributes of what the kernel says of a set, into `out`, but not those of its elements. */
int ik_ipset_decode_set_data(struct ik_reader payload, struct ik_ipset_set *out);
/* One at the level of the command: 1 taken, 0 another one, -EBADMSG. */
int ik_ipset_decode_set_attr(const struct ik_attr *attr, struct ik_ipset_set *out);
/* The attributes of one element; the comment points into the payload. */
int ik_ipset_decode_element(struct ik_reader payload, struct ik_element *out);

/* As ik_next_attr, without calls: a dump has some six million of them. */
static inline int ik_quick_attr(struct ik_reader *reader, struct ik_attr *out)
{
    uint16_t header[2];

    if (reader->left < sizeof(header)) {
        return reader->left == 0 ? 0 : -74; /* EBADMSG */
    }
    __builtin_memcpy(header, reader->data, sizeof(header));
    if (header[0] < sizeof(header) || header[0] > reader->left) {
        return -74;
    }
    out->type = header[1] & IK_TYPE_MASK;
    out->network_order = (header[1] & IK_NBO) != 0;
    out->payload.data = reader->data + sizeof(header);
    out->payload.left = (size_t)header[0] - sizeof(header);
    size_t step = ik_align(header[0]);
    step = step < reader->left ? step : reader->left;
    reader->data += step;
    reader->left -= step;
    return 1;
}

#endif
