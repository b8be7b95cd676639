/* Generic netlink: finding a family's number by its name.
 *
 * Knows: the controller family (nlctrl). Must not know: any other family, sockets.
 */
#ifndef IK_GENL_H
#define IK_GENL_H

#include "ik_buf.h"

enum { IK_GENL_HEADER = 4, IK_GENL_NAME = 16 };

/* A message of a generic-netlink family, up to and including its header; ends with ik_message_end. */
size_t ik_genl_begin(struct ik_writer *writer, uint16_t family, uint8_t command, uint16_t flags, uint32_t sequence);

/* The request for a family's number. The kernel loads the family's module for it. Returns the length, or -ENOSPC; -EINVAL: bad name. */
long ik_genl_encode_resolve(const char *name, uint32_t sequence, uint8_t *out, size_t room);

/* The number from the answer; -ENOENT when there is none, -EBADMSG. */
long ik_genl_parse_resolve(const uint8_t *data, size_t length);

#endif
