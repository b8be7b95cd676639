/* Knows: the insides of a socket and a reply, shared by ik_socket.c, ik_reply.c and ik_exchange.c. Nothing else may include this. */
#ifndef IK_SOCKET_PRIVATE_H
#define IK_SOCKET_PRIVATE_H

#include "ik_socket.h"

#include <sys/socket.h>

/* Datagrams that one recvmmsg() may bring. */
enum { IK_SLOTS = 16 };

struct ik_socket {
    int fd;
    uint32_t port;
    uint32_t send_limit;
    uint32_t receive_limit;
    uint32_t datagram;
    uint8_t *scratch; /* IK_SLOTS datagrams; kept, so that its pages are touched only once */
};

struct ik_reply {
    uint8_t *data;
    size_t length;
    size_t capacity;
    uint32_t messages;
    uint32_t flags;
    ik_sink sink; /* where messages go instead of being kept; NULL: they are kept */
    void *context;
};

/* 0 or -ENOMEM. */
int ik_reply_append(struct ik_reply *reply, const uint8_t *message, size_t length);

#endif
