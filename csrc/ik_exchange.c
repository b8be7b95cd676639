/* Knows: when a transaction with the kernel is over. Must not know: what the messages mean. See ik_socket.h. */
#include "ik_socket_private.h"

#include "ik_buf.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <string.h>
#include <time.h>

struct slots {
    struct mmsghdr headers[IK_SLOTS];
    struct iovec rooms[IK_SLOTS];
    struct sockaddr_nl senders[IK_SLOTS];
};

struct transaction {
    struct ik_socket *sock;
    struct ik_reply *reply;
    uint32_t first; /* the sequence numbers that are ours: first .. last */
    uint32_t last;
    bool dump;  /* ends with NLMSG_DONE or a refusal; otherwise with the answer to `last`, the barrier */
    bool ended;
    bool stopped; /* the only answer so far is that the first request lacks the right */
    bool goes_on; /* something of a dump came since the clock was last looked at, which costs a system call on some machines */
    uint32_t datagrams;
    int64_t deadline_ms;
    int timeout_ms;
    struct slots slots;
};

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void prepare(struct transaction *run, struct ik_socket *sock, struct ik_reply *reply, int timeout_ms)
{
    memset(run, 0, sizeof(*run));
    run->sock = sock;
    run->reply = reply;
    run->timeout_ms = timeout_ms;
    run->deadline_ms = now_ms() + timeout_ms;
    for (size_t i = 0; i < IK_SLOTS; i++) {
        run->slots.rooms[i].iov_base = sock->scratch + i * sock->datagram;
        run->slots.rooms[i].iov_len = sock->datagram;
        run->slots.headers[i].msg_hdr.msg_iov = &run->slots.rooms[i];
        run->slots.headers[i].msg_hdr.msg_iovlen = 1;
        run->slots.headers[i].msg_hdr.msg_name = &run->slots.senders[i];
    }
}

static int send_all(struct ik_socket *sock, const void *requests, size_t length, const void *tail, size_t tail_length)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    /* sendmsg() does not write through iov_base; the interface has no const. */
    union {
        const void *in;
        void *out;
    } head_part = {.in = requests}, tail_part = {.in = tail};
    struct iovec parts[2] = {{.iov_base = head_part.out, .iov_len = length}, {.iov_base = tail_part.out, .iov_len = tail_length}};
    struct msghdr header = {
        .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = parts, .msg_iovlen = tail_length > 0 ? 2 : 1};
    ssize_t sent;

    do {
        sent = sendmsg(sock->fd, &header, 0);
    } while (sent < 0 && errno == EINTR);
    return sent < 0 ? -errno : 0;
}

/* Whether this message is the last of the transaction. */
static bool ends(const struct transaction *run, const struct ik_message *message)
{
    if (message->sequence != run->last) {
        return false;
    }
    return message->type == NLMSG_ERROR || (run->dump && message->type == NLMSG_DONE);
}

/* The barrier's answer and the plain end of a dump say nothing to the caller. */
static bool is_worth_keeping(const struct transaction *run, const struct ik_message *message)
{
    int32_t status = 0;

    if (!ends(run, message)) {
        return true;
    }
    memcpy(&status, message->payload.data, message->payload.left < sizeof(status) ? message->payload.left : sizeof(status));
    return run->dump && status != 0;
}

/* Netfilter looks at the right to use it once for everything that was sent, and answers the first request only. */
static bool lacks_right(const struct transaction *run, const struct ik_message *message)
{
    int32_t status;

    if (message->type != NLMSG_ERROR || message->sequence != run->first || message->payload.left < sizeof(status)) {
        return false;
    }
    memcpy(&status, message->payload.data, sizeof(status));
    return status == -EPERM;
}

static int take_datagram(struct transaction *run, struct ik_reader datagram)
{
    struct ik_message message;
    int more;

    for (;;) {
        const uint8_t *start = datagram.data;
        more = ik_next_message(&datagram, &message);
        if (more <= 0) {
            return more;
        }
        /* Older numbers are what an earlier transaction left behind. */
        if (message.sequence - run->first > run->last - run->first || message.type == NLMSG_NOOP) {
            continue;
        }
        /* Nothing but its acknowledgement answers the barrier, so every message that is kept belongs to one of the requests. */
        if (!run->dump && message.sequence == run->last && message.type != NLMSG_ERROR) {
            return -EBADMSG;
        }
        if (message.flags & NLM_F_DUMP_INTR) {
            run->reply->flags |= IK_REPLY_INTERRUPTED;
        }
        if (is_worth_keeping(run, &message)) {
            int result = ik_reply_append(run->reply, start, message.payload.left + IK_MESSAGE_HEADER);
            if (result < 0) {
                return result;
            }
        }
        run->ended = run->ended || ends(run, &message);
        run->stopped = run->reply->messages == 1 && lacks_right(run, &message);
    }
}

/* What is queued right now: the number of datagrams, or a negative errno (-EAGAIN: nothing). */
static int receive(struct transaction *run)
{
    int received;

    for (size_t i = 0; i < IK_SLOTS; i++) {
        run->slots.headers[i].msg_hdr.msg_namelen = sizeof(run->slots.senders[i]);
        run->slots.headers[i].msg_hdr.msg_flags = 0;
    }
    do {
        received = recvmmsg(run->sock->fd, run->slots.headers, IK_SLOTS, MSG_DONTWAIT, NULL);
    } while (received < 0 && errno == EINTR);
    return received < 0 ? -errno : received;
}

static int take_all(struct transaction *run, int received)
{
    for (int i = 0; i < received; i++) {
        struct ik_reader datagram = {.data = run->slots.rooms[i].iov_base, .left = run->slots.headers[i].msg_len};
        /* Any process may send to our port; only the kernel is number 0. */
        if (run->slots.headers[i].msg_hdr.msg_namelen != sizeof(struct sockaddr_nl) || run->slots.senders[i].nl_pid != 0) {
            continue;
        }
        if (run->slots.headers[i].msg_hdr.msg_flags & MSG_TRUNC) {
            return -EOVERFLOW;
        }
        uint32_t before = run->reply->messages;
        int result = take_datagram(run, datagram);
        if (result < 0) {
            return result;
        }
        run->datagrams += run->reply->messages != before;
    }
    return 0;
}

/* Milliseconds until the deadline. A dump may take long, as long as it goes on. */
static int64_t time_left(struct transaction *run)
{
    int64_t now = now_ms();

    if (run->goes_on) {
        run->deadline_ms = now + run->timeout_ms;
        run->goes_on = false;
    }
    return run->deadline_ms - now;
}

static int wait_for_more(struct transaction *run)
{
    struct pollfd watched = {.fd = run->sock->fd, .events = POLLIN};
    int64_t left = time_left(run);

    if (left <= 0) {
        return -ETIMEDOUT;
    }
    int ready = poll(&watched, 1, left > INT32_MAX ? INT32_MAX : (int)left);
    if (ready < 0 && errno != EINTR) {
        return -errno;
    }
    return 0;
}

static int collect(struct transaction *run)
{
    while (!run->ended) {
        int result = receive(run);
        if (result == -ENOBUFS) {
            run->reply->flags |= IK_REPLY_LOST;
            continue;
        }
        if (result == -EAGAIN) {
            /* Everything was answered before send() returned, so what is not there was lost. */
            if (!run->dump && (run->reply->flags & IK_REPLY_LOST || run->stopped)) {
                run->reply->flags |= run->stopped ? IK_REPLY_STOPPED : 0;
                return 0;
            }
            result = wait_for_more(run);
        } else if (result > 0) {
            uint32_t before = run->reply->messages;
            result = take_all(run, result);
            run->goes_on = run->goes_on || (run->dump && run->reply->messages != before);
            /* Other processes may send to our port for as long as they like. */
            if (result == 0 && !run->ended && run->reply->messages == before && time_left(run) <= 0) {
                result = -ETIMEDOUT;
            }
        }
        if (result < 0) {
            return result;
        }
    }
    return 0;
}

void ik_renumber(uint8_t *messages, size_t length, uint32_t first)
{
    struct ik_reader reader = {.data = messages, .left = length};
    struct ik_message message;

    for (const uint8_t *start = reader.data; ik_next_message(&reader, &message) > 0; start = reader.data) {
        uint32_t sequence = message.sequence + first;
        memcpy(messages + (start - messages) + offsetof(struct nlmsghdr, nlmsg_seq), &sequence, sizeof(sequence));
    }
}

int ik_exchange(struct ik_socket *sock, const uint8_t *requests, size_t length, uint32_t first, uint32_t count,
                struct ik_reply *reply, int timeout_ms)
{
    struct nlmsghdr barrier = {.nlmsg_len = sizeof(barrier),
                               .nlmsg_type = NLMSG_NOOP,
                               .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK,
                               .nlmsg_seq = first + count};
    struct transaction run;

    prepare(&run, sock, reply, timeout_ms);
    run.first = first;
    run.last = first + count;
    int result = send_all(sock, requests, length, &barrier, sizeof(barrier));
    return result < 0 ? result : collect(&run);
}

int ik_dump(struct ik_socket *sock, const uint8_t *requests, size_t length, uint32_t first, uint32_t count,
            struct ik_reply *reply, uint32_t *datagrams, int timeout_ms)
{
    struct ik_reader reader = {.data = requests, .left = length};
    struct ik_message message;
    struct transaction run;

    prepare(&run, sock, reply, timeout_ms);
    run.dump = true;
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *start = reader.data;
        if (ik_next_message(&reader, &message) <= 0) {
            return -EINVAL;
        }
        run.first = run.last = first + i;
        run.ended = false;
        run.datagrams = 0;
        int result = send_all(sock, start, message.payload.left + IK_MESSAGE_HEADER, NULL, 0);
        result = result < 0 ? result : collect(&run);
        if (result < 0) {
            return result;
        }
        if (datagrams != NULL) {
            datagrams[i] = run.datagrams;
        }
    }
    return 0;
}
