/* One netlink socket: open it, send many messages at once, collect every answer.
 *
 * Knows: netlink as a transport (acknowledgements, dumps, lost answers). Must not know: any family's attributes, Python.
 *
 * The kernel works off a request while send() runs, so every answer is queued when it returns: nothing here needs to block. Where an answer is
 * missing all the same, waiting ends at the deadline.
 *
 *   exchange   requests without acknowledgement, and one NLMSG_NOOP with acknowledgement behind them (the barrier). Failures are answered, success
 *              is silent, and the barrier's answer says that there is nothing more to come.
 *   dump       requests are sent one after the other: a socket can have one dump at a time.
 *
 * Answers go into a reply: raw messages, checked for framing and sender, in the order of their arrival. A message's sequence number less the
 * first one is the number of its request.
 */
#ifndef IK_SOCKET_H
#define IK_SOCKET_H

#include <stddef.h>
#include <stdint.h>

struct ik_socket;
struct ik_reply;

enum ik_reply_flag {
    IK_REPLY_LOST = 1,        /* the receive buffer overflowed (ENOBUFS): executed, answers lost */
    IK_REPLY_INTERRUPTED = 2, /* the kernel says that a dump saw a change (NLM_F_DUMP_INTR) */
    IK_REPLY_STOPPED = 4,     /* the kernel refused the first request and looked at no other (nfnetlink, without the right to use it) */
};

/* Takes a message as it arrives: 0, or a negative errno, which ends the transaction. */
typedef int (*ik_sink)(void *context, const uint8_t *message, size_t length);

struct ik_socket_options {
    int netns;            /* descriptor, -1: the caller's */
    int protocol;         /* NETLINK_GENERIC, NETLINK_NETFILTER, ... */
    uint32_t send_buffer; /* bytes; 0: the system's default */
    uint32_t receive_buffer;
    uint32_t datagram; /* bytes of room for one datagram; 0: 64 KiB, more than the kernel ever sends */
};

/* 0 and *out, or a negative errno. Free with ik_socket_close. */
int ik_socket_open(const struct ik_socket_options *options, struct ik_socket **out);
void ik_socket_close(struct ik_socket *sock);

uint32_t ik_socket_receive_limit(const struct ik_socket *sock); /* bytes of the receive buffer */
/* What fits in flight: bytes in one send, and messages whose answers the receive buffer can hold. */
uint32_t ik_socket_send_limit(const struct ik_socket *sock);
uint32_t ik_socket_message_limit(const struct ik_socket *sock);

/* NULL when there is no memory. */
struct ik_reply *ik_reply_new(void);
void ik_reply_free(struct ik_reply *reply);
void ik_reply_reset(struct ik_reply *reply);
/* From now on the messages of this reply go there, and are counted only. */
void ik_reply_into(struct ik_reply *reply, ik_sink sink, void *context);
const uint8_t *ik_reply_data(const struct ik_reply *reply);
size_t ik_reply_length(const struct ik_reply *reply);
uint32_t ik_reply_messages(const struct ik_reply *reply);
uint32_t ik_reply_flags(const struct ik_reply *reply);

/* Whole messages that are numbered from 0 become numbered from `first`. */
void ik_renumber(uint8_t *messages, size_t length, uint32_t first);

/* `requests` holds `count` whole messages with the sequence numbers first .. first + count - 1; first + count belongs to the barrier.
 * 0 when the barrier was answered, or when IK_REPLY_LOST says that it cannot be; -ETIMEDOUT; -EOVERFLOW: a datagram did not fit; -EMSGSIZE: the
 * send was too large; -EBADMSG: what came is not netlink; or another negative errno. */
int ik_exchange(struct ik_socket *sock, const uint8_t *requests, size_t length, uint32_t first, uint32_t count,
                struct ik_reply *reply, int timeout_ms);

/* The same for dumps. datagrams[i], where not NULL, counts the datagrams that brought rows for request i: with one, the kernel gathered them at
 * one go; between two, the table may have changed. */
int ik_dump(struct ik_socket *sock, const uint8_t *requests, size_t length, uint32_t first, uint32_t count,
            struct ik_reply *reply, uint32_t *datagrams, int timeout_ms);

/* The kernel's verdict on one request: a refusal, or the acknowledgement of one that asked for it. */
struct ik_answer {
    uint32_t index;  /* of the request */
    int32_t error;   /* errno, positive; 0: acknowledged */
    uint32_t offset; /* of the attribute that the kernel complains of; 0 when it does not say */
    char text[116];  /* the kernel's extended acknowledgement, "" when there is none */
};

/* The verdicts in a reply: their number (at most `room` of them are written to `out`), or -EBADMSG. */
long ik_parse_answers(const uint8_t *data, size_t length, uint32_t first, struct ik_answer *out, size_t room);

#endif
