/* One element of a set, taken apart; and its text.
 *
 * Knows: the text forms of ipset(8), what the kernel makes of an element. Must not know: netlink, tables, Python.
 *
 * Addresses and ports are in network order, as they are on the wire; everything else is in host order.
 */
#ifndef IK_ELEMENT_H
#define IK_ELEMENT_H

#include "ik_shape.h"

#include <stddef.h>
#include <stdint.h>

enum ik_present {
    IK_HAS_LAST = 1,       /* last[0]: the first address is a range */
    IK_HAS_LAST2 = 2,      /* last[1] */
    IK_HAS_LAST_PORT = 4,
    IK_HAS_MAC = 8, /* where the MAC is a value */
    IK_HAS_TIMEOUT = 16,
    IK_HAS_PACKETS = 32,
    IK_HAS_BYTES = 64,
    IK_HAS_COMMENT = 128,
    IK_HAS_SKBMARK = 256,
    IK_HAS_SKBPRIO = 512,
    IK_HAS_SKBQUEUE = 1024,
    IK_HAS_NOMATCH = 2048,
    IK_HAS_WILDCARD = 4096,
    IK_HAS_BEFORE = 8192, /* reference: the member to stand before */
    IK_HAS_AFTER = 16384,
    IK_HAS_RANGE = IK_HAS_LAST | IK_HAS_LAST2 | IK_HAS_LAST_PORT,
};

enum { IK_COMMENT = 255 };

struct ik_element {
    uint32_t present;
    uint32_t timeout; /* seconds; 0: for ever */
    uint8_t address[2][16];
    uint8_t last[2][16];
    uint8_t prefix[2];
    uint8_t protocol;
    uint8_t physdev; /* 0 or 1 */
    uint8_t port[2];
    uint8_t last_port[2];
    uint32_t mark;
    uint8_t mac[6];
    uint16_t skbqueue;
    uint64_t packets;
    uint64_t bytes;
    uint32_t skbmark;
    uint32_t skbmask;
    uint32_t skbprio; /* major << 16 | minor */
    uint32_t comment_length;
    char name[IK_NAME];      /* of an interface or a set; zeros behind it */
    char reference[IK_NAME]; /* the other member of before and after */
    const char *comment;     /* not owned, not terminated */
};

/* What is wrong with a text or an element, and where: Python has the sentences. */
enum ik_fault_code {
    IK_FAULT_NONE,
    IK_FAULT_ADDRESS,       /* not an address */
    IK_FAULT_FAMILY,        /* an address of the other family */
    IK_FAULT_PREFIX,        /* a prefix length that is no number, too long, or 0 where that is not allowed */
    IK_FAULT_RANGE,         /* a range or block where only a single one may stand (IPv6, second addresses, addresses beside a MAC) */
    IK_FAULT_WHOLE,         /* a range of all addresses there are */
    IK_FAULT_NULL,          /* 0.0.0.0, :: or 00:00:00:00:00:00 */
    IK_FAULT_OUTSIDE,       /* not between the bounds of the set */
    IK_FAULT_PORT,          /* not a port, service name or ICMP type */
    IK_FAULT_PROTOCOL,      /* not a protocol, or 0 */
    IK_FAULT_MARK,
    IK_FAULT_MAC,
    IK_FAULT_INTERFACE,     /* empty, or longer than 15 bytes */
    IK_FAULT_SET_NAME,      /* empty, or longer than 31 bytes */
    IK_FAULT_MISSING,       /* fewer parts than the type has */
    IK_FAULT_EXTRA,         /* more parts than the type has */
    IK_FAULT_OPTION,        /* not an option of elements */
    IK_FAULT_NOT_OPTION,    /* an option that elements of this type, or of a set without that extension, do not have */
    IK_FAULT_TIMEOUT,       /* these: an option's value */
    IK_FAULT_COUNTER,
    IK_FAULT_COMMENT,
    IK_FAULT_SKBMARK,
    IK_FAULT_SKBPRIO,
    IK_FAULT_SKBQUEUE,
    IK_FAULT_REFERENCE,
    IK_FAULT_TOO_MANY,      /* a range of more elements than may be made of it */
    IK_FAULT_TWICE,         /* an option given twice, or before and after */
};

struct ik_fault {
    uint32_t code;
    uint32_t offset; /* of the part of the text that it is about */
    uint32_t length;
    uint32_t line; /* which of many */
};

enum { IK_TIMEOUT_MAX = 2147483 }; /* UINT_MAX / MSEC_PER_SEC, where the kernel stops */

/* ik_element_parse.c: 0, or -EINVAL and *fault. `text` is one element with its options, without an end of line. out->comment points into it. */
int ik_element_parse(const struct ik_shape *shape, const char *text, size_t length, struct ik_element *out, struct ik_fault *fault);

/* ik_element_format.c: as `ipset save` writes it behind the name of the set; bytes written, 0 when there is no room. */
size_t ik_element_format(const struct ik_shape *shape, const struct ik_element *element, char *out, size_t room);

enum { IK_ELEMENT_TEXT = 1024 }; /* room that is always enough */

/* ik_names.c: protocols as /etc/protocols of Debian has them, services and types of ICMP. */
int ik_protocol_number(const char *name, size_t length);     /* -1: none of this name */
const char *ik_protocol_name(uint8_t number);                /* NULL: none */
int ik_service_port(const char *name, size_t length, uint8_t protocol); /* host order; -1; protocol 0: any */
int ik_icmp_number(bool v6, const char *name, size_t length); /* type << 8 | code; -1 */
const char *ik_icmp_name(bool v6, uint16_t number);           /* NULL: none */

/* ik_element_normalise.c: hands to `emit` each element that the kernel lists after this one was added; stops when it returns not 0, and returns
 * that. 0; -EINVAL and *fault. `most`: how many may come of it. */
typedef int (*ik_emit)(void *context, const struct ik_element *element);
int ik_element_normalise(const struct ik_shape *shape, const struct ik_element *element, uint64_t most, ik_emit emit, void *context,
                         struct ik_fault *fault);

#endif
