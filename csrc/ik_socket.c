/* Knows: the life of a netlink socket and what its buffers hold. Must not know: how answers are collected (ik_exchange.c). See ik_socket.h. */
#include "ik_socket_private.h"

#include "ik_netns.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    /* Larger than any datagram that the kernel makes for a dump (32 KiB) or an answer. */
    DEFAULT_DATAGRAM = 65536,
    /* An answer takes up to this much of the receive buffer, whatever its length (seen: 768 to 898). */
    ANSWER_COST = 1024,
    /* The kernel keeps this much of the send buffer for itself. */
    SEND_OVERHEAD = 256,
};

/* The privileged option is tried first: the other one is capped by a sysctl that is meant for applications' sockets. */
static void set_buffer(int fd, int forced, int plain, uint32_t bytes)
{
    int value = (int)(bytes / 2); /* the kernel doubles what it is given */

    if (bytes != 0 && setsockopt(fd, SOL_SOCKET, forced, &value, sizeof(value)) != 0) {
        (void)setsockopt(fd, SOL_SOCKET, plain, &value, sizeof(value));
    }
}

static uint32_t get_buffer(int fd, int option)
{
    int value = 0;
    socklen_t length = sizeof(value);

    return getsockopt(fd, SOL_SOCKET, option, &value, &length) == 0 && value > 0 ? (uint32_t)value : 0;
}

static int set_up(struct ik_socket *sock, const struct ik_socket_options *options)
{
    struct sockaddr_nl address = {.nl_family = AF_NETLINK};
    socklen_t length = sizeof(address);
    int on = 1;

    set_buffer(sock->fd, SO_SNDBUFFORCE, SO_SNDBUF, options->send_buffer);
    set_buffer(sock->fd, SO_RCVBUFFORCE, SO_RCVBUF, options->receive_buffer);
    /* Without these the error texts and short errors are missing; everything else works. */
    (void)setsockopt(sock->fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    (void)setsockopt(sock->fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    if (bind(sock->fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
        getsockname(sock->fd, (struct sockaddr *)&address, &length) != 0) {
        return -errno;
    }
    sock->port = address.nl_pid;
    sock->send_limit = get_buffer(sock->fd, SO_SNDBUF);
    sock->receive_limit = get_buffer(sock->fd, SO_RCVBUF);
    return 0;
}

int ik_socket_open(const struct ik_socket_options *options, struct ik_socket **out)
{
    struct ik_socket *sock = calloc(1, sizeof(*sock));
    int result;

    *out = NULL;
    if (sock == NULL) {
        return -ENOMEM;
    }
    sock->datagram = options->datagram != 0 ? options->datagram : DEFAULT_DATAGRAM;
    sock->scratch = malloc((size_t)sock->datagram * IK_SLOTS);
    sock->fd = ik_netns_socket(options->netns, AF_NETLINK, SOCK_RAW, options->protocol);
    result = sock->scratch == NULL ? -ENOMEM : sock->fd < 0 ? sock->fd : set_up(sock, options);
    if (result != 0) {
        ik_socket_close(sock);
        return result;
    }
    *out = sock;
    return 0;
}

void ik_socket_close(struct ik_socket *sock)
{
    if (sock == NULL) {
        return;
    }
    if (sock->fd >= 0) {
        close(sock->fd);
    }
    free(sock->scratch);
    free(sock);
}

uint32_t ik_socket_send_limit(const struct ik_socket *sock)
{
    return sock->send_limit > 2 * SEND_OVERHEAD ? sock->send_limit - SEND_OVERHEAD : SEND_OVERHEAD;
}

uint32_t ik_socket_receive_limit(const struct ik_socket *sock) { return sock->receive_limit; }

uint32_t ik_socket_message_limit(const struct ik_socket *sock)
{
    uint32_t answers = sock->receive_limit / ANSWER_COST;

    return answers > 2 ? answers : 2;
}
