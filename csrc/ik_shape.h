/* What the elements of a set look like: handed in by the caller, so that no set type is known here by name.
 *
 * Knows: the kinds of parts that elements are made of. Must not know: netlink, tables, Python.
 *
 *   type                parts                       key (bytes, network order, one after the other)
 *   hash:ip             ADDRESS                     address 4 or 16
 *   hash:net            NET                         address, prefix 1
 *   hash:ip,port,net    ADDRESS PORT NET            address, protocol 1, port 2, second address, its prefix 1
 *   hash:net,iface      NET INTERFACE               address, prefix, physdev 1, name 16
 *   bitmap:ip,mac       ADDRESS MAC (MAC_IS_VALUE)  address
 *   bitmap:port         NUMBER                      port 2
 *   list:set            SET                         name 32
 */
#ifndef IK_SHAPE_H
#define IK_SHAPE_H

#include <stdbool.h>
#include <stdint.h>

enum ik_part {
    IK_PART_NONE,
    IK_PART_ADDRESS,
    IK_PART_NET,
    IK_PART_PORT,   /* protocol and port */
    IK_PART_NUMBER, /* a port without a protocol */
    IK_PART_MARK,
    IK_PART_MAC,
    IK_PART_INTERFACE,
    IK_PART_SET, /* the name of another set */
};

enum ik_shape_flag {
    IK_SHAPE_RANGES = 1,       /* the first IPv4 address may be a range or a block */
    IK_SHAPE_MAC_IS_VALUE = 2, /* it may be missing, and does not tell one element from another */
    IK_SHAPE_ZERO_PREFIX = 4,  /* nets of prefix length 0 */
    IK_SHAPE_NO_NULL = 8,      /* 0.0.0.0 and :: are refused */
    IK_SHAPE_BOUNDED = 16,     /* `low` .. `high` hold every address or number that the set can hold */
    IK_SHAPE_MASKED = 32,      /* addresses are cut with `mask` */
    IK_SHAPE_STRICT = 64,      /* `options` are those that the set has: others are faults */
    IK_SHAPE_TIMEOUT = 128,    /* elements that say nothing get `timeout` */
    IK_SHAPE_COUNTERS = 256,   /* elements that say nothing get 0 packets and 0 bytes */
};

enum { IK_PARTS = 3, IK_NAME = 32, IK_INTERFACE = 16 };

struct ik_shape {
    uint8_t family; /* AF_INET, AF_INET6; 0: no addresses */
    uint8_t parts[IK_PARTS];
    uint8_t reserved[4];
    uint32_t flags;
    uint32_t options;  /* bits of ik_element.present that elements of this set can have */
    uint32_t markmask; /* 0: none */
    uint32_t timeout;  /* seconds */
    uint8_t low[16];   /* network order, an IPv4 address or a number (2 bytes) at the start */
    uint8_t high[16];
    uint8_t mask[16];
};

static inline bool ik_shape_has(const struct ik_shape *shape, enum ik_part part)
{
    return shape->parts[0] == part || shape->parts[1] == part || shape->parts[2] == part;
}

#endif
