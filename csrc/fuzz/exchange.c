/* Invariant: whatever datagrams come, from whomever and in whatever portions, a transaction ends; what it keeps are whole messages of the kernel's, each of
 * which belongs to one of its requests; and where a part of an answer is missing it fails.
 *
 * Knows: the system calls of ik_exchange.c, which are replaced here. Must not know: any family.
 *
 * Input: a byte (bit 0: a dump; bits 1-3: number of requests less one; bit 7: sending fails), then frames: a byte that says what the next receive meets
 * (enum event), a length (u16, little-endian), and that many bytes. What is over when the input is over is time.
 */
#include "fuzz.h"

#include <errno.h>
#include <linux/netlink.h>
#include <poll.h>
#include <sanitizer/asan_interface.h>
#include <sys/socket.h>
#include <time.h>

static int fake_recvmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags, struct timespec *timeout);
static ssize_t fake_sendmsg(int fd, const struct msghdr *header, int flags);
static int fake_poll(struct pollfd *watched, nfds_t count, int timeout_ms);
static int fake_clock_gettime(clockid_t clock, struct timespec *now);

#define recvmmsg fake_recvmmsg
#define sendmsg fake_sendmsg
#define poll fake_poll
#define clock_gettime fake_clock_gettime
#include "../ik_exchange.c"

enum { DATAGRAM = 8192, TIMEOUT_MS = 1000, MOST = 8, FIRST = 1 };
enum event { FROM_KERNEL, FROM_ANYBODY, TRUNCATED, NO_BUFFERS, NOTHING_YET, INTERRUPTED, NO_SENDER, EVENTS };

static struct {
    const uint8_t *data;
    size_t left;
    bool send_fails;
    int64_t now_ms;
    uint32_t sent;
    size_t trusted; /* bytes that the kernel sent, with padding */
    bool truncated;
} world;

/* What the next receive meets; -1: nothing is left. The frame stays where it is. */
static int next_event(void) { return world.left < 3 ? -1 : world.data[0] % EVENTS; }

static size_t take_frame(const uint8_t **bytes)
{
    size_t length = world.data[1] | (size_t)world.data[2] << 8;

    world.data += 3;
    world.left -= 3;
    length = length < world.left ? length : world.left;
    *bytes = world.data;
    world.data += length;
    world.left -= length;
    return length;
}

static void deliver(int event, struct mmsghdr *header)
{
    const uint8_t *bytes;
    size_t length = take_frame(&bytes);
    size_t room = header->msg_hdr.msg_iov->iov_len;
    size_t copied = length < room ? length : room;
    struct sockaddr_nl sender = {.nl_family = AF_NETLINK, .nl_pid = event == FROM_ANYBODY ? 4711 : 0};
    uint8_t *target = header->msg_hdr.msg_iov->iov_base;

    ASAN_UNPOISON_MEMORY_REGION(target, room);
    memcpy(target, bytes, copied);
    /* What an earlier datagram left behind this one must not be read. */
    ASAN_POISON_MEMORY_REGION(target + copied, room - copied);
    HOLDS(header->msg_hdr.msg_namelen == sizeof(sender));
    memcpy(header->msg_hdr.msg_name, &sender, sizeof(sender));
    header->msg_hdr.msg_namelen = event == NO_SENDER ? 0 : sizeof(sender);
    header->msg_hdr.msg_flags = event == TRUNCATED || copied < length ? MSG_TRUNC : 0;
    header->msg_len = (unsigned int)copied;
    if (event != FROM_ANYBODY && event != NO_SENDER) {
        world.trusted += ik_align(copied);
        world.truncated = world.truncated || header->msg_hdr.msg_flags != 0;
    }
}

static int fake_recvmmsg(int fd, struct mmsghdr *headers, unsigned int count, int flags, struct timespec *timeout)
{
    static const int errors[EVENTS] = {[NO_BUFFERS] = ENOBUFS, [NOTHING_YET] = EAGAIN, [INTERRUPTED] = EINTR};
    const uint8_t *ignored;
    int received = 0;

    (void)fd;
    HOLDS(flags == MSG_DONTWAIT && timeout == NULL);
    for (int event; (event = next_event()) >= 0 && received < (int)count; received++) {
        if (errors[event] != 0 && received > 0) {
            break;
        }
        if (errors[event] != 0) {
            take_frame(&ignored);
            errno = errors[event];
            return -1;
        }
        deliver(event, &headers[received]);
    }
    errno = EAGAIN;
    return received > 0 ? received : -1;
}

static ssize_t fake_sendmsg(int fd, const struct msghdr *header, int flags)
{
    struct ik_message message;
    size_t total = 0;

    (void)fd;
    HOLDS(flags == 0);
    for (size_t i = 0; i < header->msg_iovlen; i++) {
        struct ik_reader reader = {.data = header->msg_iov[i].iov_base, .left = header->msg_iov[i].iov_len};
        total += reader.left;
        while (reader.left > 0) {
            HOLDS(ik_next_message(&reader, &message) == 1);
            HOLDS(message.sequence == FIRST + world.sent++);
        }
    }
    errno = ENOMEM;
    return world.send_fails ? -1 : (ssize_t)total;
}

static int fake_poll(struct pollfd *watched, nfds_t count, int timeout_ms)
{
    HOLDS(count == 1 && watched->events == POLLIN && timeout_ms > 0);
    world.now_ms += next_event() < 0 ? timeout_ms : 1;
    return next_event() >= 0;
}

static int fake_clock_gettime(clockid_t clock, struct timespec *now)
{
    HOLDS(clock == CLOCK_MONOTONIC);
    now->tv_sec = world.now_ms / 1000;
    now->tv_nsec = world.now_ms % 1000 * 1000000;
    return 0;
}

static void check_reply(const struct ik_reply *reply, uint32_t count)
{
    struct ik_reader reader = {.data = ik_reply_data(reply), .left = ik_reply_length(reply)};
    struct ik_message message;
    uint32_t messages = 0;

    for (; reader.left > 0; messages++) {
        HOLDS(ik_next_message(&reader, &message) == 1);
        HOLDS(message.sequence - FIRST < count && message.type != NLMSG_NOOP);
    }
    HOLDS(messages == ik_reply_messages(reply) && ik_reply_length(reply) <= world.trusted);
    HOLDS((ik_reply_flags(reply) & ~(uint32_t)(IK_REPLY_LOST | IK_REPLY_INTERRUPTED | IK_REPLY_STOPPED)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t scratch[IK_SLOTS * DATAGRAM] __attribute__((aligned(8)));
    struct ik_socket sock = {.fd = -1, .datagram = DATAGRAM, .scratch = scratch};
    struct nlmsghdr requests[MOST];
    uint32_t datagrams[MOST] = {0};

    if (size == 0) {
        return 0;
    }
    bool dump = data[0] & 1;
    uint32_t count = 1u + (data[0] >> 1) % MOST;
    world.data = data + 1;
    world.left = size - 1;
    world.send_fails = data[0] >> 7;
    world.now_ms = 1;
    world.sent = 0;
    world.trusted = 0;
    world.truncated = false;
    for (uint32_t i = 0; i < count; i++) {
        requests[i] = (struct nlmsghdr){.nlmsg_len = sizeof(requests[i]), .nlmsg_type = 99, .nlmsg_seq = FIRST + i};
    }
    ASAN_POISON_MEMORY_REGION(scratch, sizeof(scratch));
    struct ik_reply *reply = ik_reply_new();
    HOLDS(reply != NULL);
    const uint8_t *bytes = (const uint8_t *)requests;
    size_t length = count * sizeof(requests[0]);
    int result = dump ? ik_dump(&sock, bytes, length, FIRST, count, reply, datagrams, TIMEOUT_MS)
                      : ik_exchange(&sock, bytes, length, FIRST, count, reply, TIMEOUT_MS);
    HOLDS(result == 0 || result == -ETIMEDOUT || result == -EOVERFLOW || result == -EBADMSG || (result == -ENOMEM && world.send_fails));
    HOLDS(result != 0 || !world.truncated);
    HOLDS(result != 0 || world.sent == (dump ? count : count + 1));
    /* A dump goes on as long as it brings something within each span of waiting. */
    HOLDS(world.now_ms <= 1 + TIMEOUT_MS * (dump ? 1 + (int64_t)ik_reply_messages(reply) : 1));
    check_reply(reply, count);
    ik_reply_free(reply);
    return 0;
}
