/* The C floor: sends prebuilt netlink messages as fast as a C program can, and says how long the kernel kept it.
 *
 * Knows: netlink as a transport, namespaces, clocks. Must not know: ipvskit, what a message means, Python.
 *
 * Reads commands from standard input and answers each with one line "NANOSECONDS REFUSED BYTES", or "error TEXT":
 *
 *   send NAMESPACE FILE PORTION   the file's messages in sends of at most PORTION bytes, without acknowledgement, and a barrier behind them
 *   dump NAMESPACE FILE ROOM      the file's dump requests one after the other, with receive buffers of ROOM bytes; the answers are thrown away
 *
 * The command line names a generic-netlink family, whose number those messages get that have none yet (type 0xffff), or says "netfilter": then
 * the socket is one of netfilter's, and every message has its type. Opening, reading the file and resolving are not timed; everything from the
 * first send to the last answer is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 8, LARGEST = 65536, BUFFER = 64 << 20, UNRESOLVED = 0xffff };

struct messages {
    uint8_t *data;
    size_t length;
};

struct outcome {
    int64_t nanoseconds;
    uint64_t refused;
    uint64_t bytes;
};

static uint8_t rooms[SLOTS][LARGEST];

static void fail(const char *what)
{
    printf("error %s: %s\n", what, strerror(errno));
    fflush(stdout);
    exit(1);
}

static int64_t now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static size_t align(size_t length) { return (length + 3) & ~(size_t)3; }

static struct nlmsghdr *at(const struct messages *messages, size_t offset) { return (struct nlmsghdr *)(void *)(messages->data + offset); }

static size_t size_of(const struct nlmsghdr *header) { return align(header->nlmsg_len); }

static struct messages load(const char *path)
{
    struct stat status;
    struct messages messages;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &status) != 0) {
        fail(path);
    }
    messages.length = (size_t)status.st_size;
    messages.data = malloc(messages.length);
    for (size_t done = 0; done < messages.length;) {
        ssize_t got = read(fd, messages.data + done, messages.length - done);
        if (got <= 0) {
            fail(path);
        }
        done += (size_t)got;
    }
    close(fd);
    return messages;
}

static int open_netlink(int protocol)
{
    struct sockaddr_nl own = {.nl_family = AF_NETLINK};
    int buffer = BUFFER / 2;
    int on = 1;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);

    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0) {
        fail("netlink socket");
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer));
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer));
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
    return fd;
}

static void send_bytes(int fd, const void *head, size_t length, const void *tail, size_t tail_length)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct iovec parts[2] = {{(void *)(uintptr_t)head, length}, {(void *)(uintptr_t)tail, tail_length}};
    struct msghdr header = {
        .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = parts, .msg_iovlen = tail_length != 0 ? 2 : 1};

    if (sendmsg(fd, &header, 0) < 0) {
        fail("send");
    }
}

/* Receives until the message that ends it: an error with this sequence number or, in a dump, NLMSG_DONE. */
static void drain(int fd, size_t room, uint32_t last, struct outcome *outcome)
{
    struct mmsghdr headers[SLOTS] = {{{0}, 0}};
    struct iovec parts[SLOTS];

    for (size_t i = 0; i < SLOTS; i++) {
        parts[i] = (struct iovec){rooms[i], room};
        headers[i].msg_hdr.msg_iov = &parts[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
    for (;;) {
        int got = recvmmsg(fd, headers, SLOTS, MSG_WAITFORONE, NULL);
        if (got < 0) {
            fail("receive");
        }
        for (int i = 0; i < got; i++) {
            struct messages datagram = {rooms[i], headers[i].msg_len};
            outcome->bytes += datagram.length;
            for (size_t offset = 0; offset < datagram.length; offset += size_of(at(&datagram, offset))) {
                const struct nlmsghdr *header = at(&datagram, offset);
                if (header->nlmsg_type == NLMSG_DONE || (header->nlmsg_type == NLMSG_ERROR && header->nlmsg_seq == last)) {
                    return;
                }
                outcome->refused += header->nlmsg_type == NLMSG_ERROR;
            }
        }
    }
}

static uint16_t resolve(int fd, const char *name)
{
    struct {
        struct nlmsghdr header;
        struct genlmsghdr generic;
        struct nlattr attribute;
        char name[16];
    } request = {.header = {sizeof(request), GENL_ID_CTRL, NLM_F_REQUEST, 1, 0},
                 .generic = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
                 .attribute = {sizeof(request.attribute) + sizeof(request.name), CTRL_ATTR_FAMILY_NAME}};
    struct nlattr attribute;
    size_t offset = sizeof(request.header) + sizeof(request.generic);

    memcpy(request.name, name, strlen(name));
    send_bytes(fd, &request, sizeof(request), NULL, 0);
    ssize_t got = recv(fd, rooms[0], LARGEST, 0);
    while (got > 0 && offset + sizeof(attribute) <= (size_t)got) {
        uint16_t found;
        memcpy(&attribute, rooms[0] + offset, sizeof(attribute));
        if (attribute.nla_type == CTRL_ATTR_FAMILY_ID) {
            memcpy(&found, rooms[0] + offset + sizeof(attribute), sizeof(found));
            return found;
        }
        offset += align(attribute.nla_len < sizeof(attribute) ? LARGEST : attribute.nla_len);
    }
    errno = ENOENT;
    fail(name);
    return 0;
}

static void address_to(const struct messages *messages, uint16_t family)
{
    for (size_t offset = 0; offset < messages->length; offset += size_of(at(messages, offset))) {
        if (at(messages, offset)->nlmsg_type == UNRESOLVED) {
            at(messages, offset)->nlmsg_type = family;
        }
    }
}

static void send_all(int fd, const struct messages *messages, size_t portion, struct outcome *outcome)
{
    struct nlmsghdr barrier = {sizeof(barrier), NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, UINT32_MAX, 0};
    size_t start = 0;

    while (start < messages->length) {
        size_t end = start + size_of(at(messages, start));
        while (end < messages->length && end + size_of(at(messages, end)) - start <= portion) {
            end += size_of(at(messages, end));
        }
        send_bytes(fd, messages->data + start, end - start, &barrier, end == messages->length ? sizeof(barrier) : 0);
        start = end;
    }
    drain(fd, LARGEST, UINT32_MAX, outcome);
}

static void dump_all(int fd, const struct messages *messages, size_t room, struct outcome *outcome)
{
    for (size_t offset = 0; offset < messages->length; offset += size_of(at(messages, offset))) {
        send_bytes(fd, at(messages, offset), size_of(at(messages, offset)), NULL, 0);
        drain(fd, room, at(messages, offset)->nlmsg_seq, outcome);
    }
}

static void enter(int namespace)
{
    if (namespace < 0 || setns(namespace, CLONE_NEWNET) != 0) {
        fail("namespace");
    }
}

static struct outcome run(const char *what, const char *file, const char *family, size_t size)
{
    struct outcome outcome = {0, 0, 0};
    struct messages messages = load(file);
    bool netfilter = strcmp(family, "netfilter") == 0;
    int fd = open_netlink(netfilter ? NETLINK_NETFILTER : NETLINK_GENERIC);

    if (!netfilter) {
        address_to(&messages, resolve(fd, family));
    }
    int64_t start = now();
    if (strcmp(what, "send") == 0) {
        send_all(fd, &messages, size, &outcome);
    } else {
        dump_all(fd, &messages, size < LARGEST ? size : LARGEST, &outcome);
    }
    outcome.nanoseconds = now() - start;
    close(fd);
    free(messages.data);
    return outcome;
}

int main(int count, char **arguments)
{
    char line[1024], what[8], namespace[256], file[512];
    size_t size;
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

    while (count == 2 && strlen(arguments[1]) < 16 && fgets(line, sizeof(line), stdin) != NULL) {
        if (sscanf(line, "%7s %255s %511s %zu", what, namespace, file, &size) != 4) {
            errno = EINVAL;
            fail(line);
        }
        int target = open(namespace, O_RDONLY | O_CLOEXEC);
        enter(target);
        close(target);
        struct outcome outcome = run(what, file, arguments[1], size);
        enter(home);
        printf("%lld %llu %llu\n", (long long)outcome.nanoseconds, (unsigned long long)outcome.refused,
               (unsigned long long)outcome.bytes);
        fflush(stdout);
    }
    return 0;
}
