/* The commands of ipset on nfnetlink: encode them, read what answers them.
 *
 * Knows: linux/netfilter/ipset/ip_set.h. Must not know: sockets, the names of set types, Python.
 *
 * Requests are written without NLM_F_ACK (see ik_socket.h); everything is in host order here and in network order on the wire.
 */
#ifndef IK_IPSET_H
#define IK_IPSET_H

#include "ik_elements.h"

enum ik_ipset_bit { /* of ik_ipset_set.present */
    IK_SET_NAME = 1,
    IK_SET_NAME2 = 2, /* the type, or the second set of a rename or swap */
    IK_SET_FAMILY = 4,
    IK_SET_REVISION = 8,
    IK_SET_LEAST = 16, /* protocol or revision */
    IK_SET_INDEX = 32,
    IK_SET_PROTOCOL = 64,
    IK_SET_FROM = 128,
    IK_SET_TO = 256,
    IK_SET_PREFIX = 512,
    IK_SET_LOW_PORT = 1024,
    IK_SET_HIGH_PORT = 2048,
    IK_SET_TIMEOUT = 4096,
    IK_SET_FLAGS = 8192,
    IK_SET_MARKMASK = 16384,
    IK_SET_BITMASK = 32768,
    IK_SET_INITVAL = 1 << 16,
    IK_SET_HASHSIZE = 1 << 17,
    IK_SET_MAXELEM = 1 << 18,
    IK_SET_NETMASK = 1 << 19,
    IK_SET_BUCKETSIZE = 1 << 20,
    IK_SET_SIZE = 1 << 21,
    IK_SET_ELEMENTS = 1 << 22,
    IK_SET_REFERENCES = 1 << 23,
    IK_SET_MEMORY = 1 << 24,
};

struct ik_ipset_set {
    uint32_t index; /* of the request that this answers */
    uint32_t present;
    char name[IK_NAME];
    char name2[IK_NAME];
    uint8_t family;
    uint8_t revision;
    uint8_t least;
    uint8_t protocol;
    uint8_t prefix;
    uint8_t netmask;
    uint8_t bucketsize;
    uint8_t reserved;
    uint16_t set_index;
    uint16_t low_port;
    uint16_t high_port;
    uint16_t reserved2;
    uint8_t from[16]; /* network order */
    uint8_t to[16];
    uint8_t bitmask[16];
    uint32_t timeout; /* seconds */
    uint32_t flags;   /* enum ipset_cadt_flags */
    uint32_t markmask;
    uint32_t initval;
    uint32_t hashsize;
    uint32_t maxelem;
    uint32_t size;
    uint32_t elements;
    uint32_t references;
    uint32_t memory; /* bytes */
};

struct ik_ipset_command {
    uint32_t command; /* enum ipset_cmd */
    uint32_t flags;   /* NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP */
    uint32_t listing; /* enum ipset_cmd_flags */
    uint32_t reserved;
    struct ik_ipset_set set;
};

/* How many commands were encoded into *used bytes, or a negative errno: -EINVAL for one that is not known, -ENOSPC when not even the first one fits.
 * Command i gets the sequence number sequence + i. */
long ik_ipset_encode(const struct ik_ipset_command *commands, size_t count, uint32_t sequence, uint8_t *out, size_t room, size_t *used);

/* What answered HEADER, TYPE, PROTOCOL, GET_BYNAME and GET_BYINDEX: the number of answers, at most `room` are written; or -EBADMSG. */
long ik_ipset_parse(const uint8_t *data, size_t length, uint32_t first, struct ik_ipset_set *out, size_t room);

/* A refusal, with the place in the message of the element that it is about. */
struct ik_ipset_failure {
    uint32_t index; /* of the request */
    uint32_t error; /* errno, or enum ipset_errno */
    uint32_t line;  /* of the element, from 1; 0: not said */
};
long ik_ipset_failures(const uint8_t *data, size_t length, uint32_t first, struct ik_ipset_failure *out, size_t room);

/* The same for messages of single elements, numbered from 0: the numbers of those that were refused with `error` into `places` (how many is returned), and
 * all other refusals. */
long ik_ipset_split(const uint8_t *data, size_t length, uint32_t error, uint32_t *places, size_t room, struct ik_ipset_failure *others,
                    size_t others_room, size_t *other_count);

/* Elements of a table as messages that add, delete or test them. */
struct ik_ipset_batch {
    uint32_t command; /* ADD, DEL, TEST */
    uint32_t flags;   /* NLM_F_EXCL */
    uint32_t single;  /* not 0: a message for each, so that each is answered; TEST knows nothing else */
    uint32_t message; /* bytes that a message may have */
    uint32_t options; /* bits of present that are sent */
    uint32_t libipset; /* not 0: what libipset sends for a text: no prefix as long as the address, and as many elements in a message as it puts there */
    uint32_t line;     /* elements of a message are numbered from the number behind this */
    char name[IK_NAME];
};
enum { IK_IPSET_MESSAGE_MAX = 65024 };

/* How many elements from `start` on were encoded, into *messages messages of *used bytes; firsts[i] is the number of the first element in message i. Or
 * -ENOSPC, -EINVAL. At most `most` messages. */
long ik_ipset_encode_elements(const struct ik_ipset_batch *batch, const struct ik_elements *table, size_t start, size_t count,
                              uint32_t sequence, uint8_t *out, size_t room, size_t *used, uint32_t *firsts, size_t most,
                              size_t *messages);

/* What a dump of LIST brings: sets with their elements. */
struct ik_ipset_type {
    char name[IK_NAME];
    struct ik_shape shape;
};
struct ik_ipset_listing;
/* The types are copied. A set of a type and family that is not among them is listed without elements. NULL: no memory. */
struct ik_ipset_listing *ik_ipset_listing_new(const struct ik_ipset_type *types, size_t count);
void ik_ipset_listing_free(struct ik_ipset_listing *listing);
/* Any number of whole messages: 0, -EBADMSG, -ENOMEM. */
int ik_ipset_listing_feed(struct ik_ipset_listing *listing, const uint8_t *data, size_t length);
/* Feed it with what this reply receives, as it arrives. */
struct ik_reply;
void ik_ipset_listing_receive(struct ik_ipset_listing *listing, struct ik_reply *reply);
size_t ik_ipset_listing_count(const struct ik_ipset_listing *listing);
uint32_t ik_ipset_listing_error(const struct ik_ipset_listing *listing); /* the refusal of the dump, 0: none */
void ik_ipset_listing_set(const struct ik_ipset_listing *listing, size_t number, struct ik_ipset_set *out);
/* Hands over the elements of a set; NULL when there are none to be had, and the second time. Free with ik_elements_free. */
struct ik_elements *ik_ipset_listing_take(struct ik_ipset_listing *listing, size_t number);

#endif
