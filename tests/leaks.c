/* Every object of the C core is made, used and freed, for LeakSanitizer (tests/asan.sh). With the argument "leak" one is not, to show that it is seen.
 *
 * Knows: which functions own memory or descriptors. Must not know: Python. Needs no privileges: the controller answers everybody.
 */
#include "ik_genl.h"
#include "ik_ipvs.h"
#include "ik_netns.h"
#include "ik_socket.h"

#include <errno.h>
#include <linux/netlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TIMEOUT_MS = 5000, ROUNDS = 20 };

static void expect(int truth, const char *what)
{
    if (!truth) {
        fprintf(stderr, "leaks: %s\n", what);
        _exit(2); /* not exit(): this is no leak, and must not look like one */
    }
}

static int lowest_free_descriptor(void)
{
    int descriptor = dup(STDERR_FILENO);

    close(descriptor);
    return descriptor;
}

static void ask(struct ik_socket *sock, struct ik_reply *reply, const char *name, int refused)
{
    uint8_t request[256];
    struct ik_answer answers[4];
    long length = ik_genl_encode_resolve(name, 1, request, sizeof(request));

    expect(length > 0, "the question fits");
    ik_reply_reset(reply);
    expect(ik_exchange(sock, request, (size_t)length, 1, 1, reply, TIMEOUT_MS) == 0, "the controller answers");
    long found = ik_parse_answers(ik_reply_data(reply), ik_reply_length(reply), 1, answers, 4);
    expect(found == refused, "as many refusals as expected");
    expect((ik_genl_parse_resolve(ik_reply_data(reply), ik_reply_length(reply)) > 0) == !refused, "the family's number");
    expect(ik_ipvs_parse(IK_IPVS_SERVICES, ik_reply_data(reply), ik_reply_length(reply), 1, 1, NULL, 0) == (refused ? 0 : -EBADMSG),
           "the controller's answer is no service");
}

static void use_socket(int netns)
{
    struct ik_socket_options options = {.netns = netns, .protocol = NETLINK_GENERIC, .send_buffer = 65536, .receive_buffer = 65536};
    struct ik_reply *reply = ik_reply_new();
    struct ik_socket *sock;

    expect(reply != NULL, "memory for a reply");
    expect(ik_socket_open(&options, &sock) == 0, "a socket");
    ask(sock, reply, "nlctrl", 0);
    ask(sock, reply, "no such thing", 1);
    ik_socket_close(sock);
    ik_reply_free(reply);
}

static void fail_to_open(void)
{
    struct ik_socket_options options = {.netns = -1, .protocol = 1000};
    struct ik_socket *sock;

    expect(ik_socket_open(&options, &sock) < 0 && sock == NULL, "there is no such protocol");
    options.netns = 1 << 20;
    options.protocol = NETLINK_GENERIC;
    expect(ik_socket_open(&options, &sock) == -EBADF && sock == NULL, "there is no such namespace");
    ik_socket_close(NULL);
    ik_reply_free(NULL);
}

int main(int argc, char **argv)
{
    int before = lowest_free_descriptor();

    (void)argv;
    for (int i = 0; i < ROUNDS; i++) {
        use_socket(-1);
        fail_to_open();
        int netns = ik_netns_create(); /* without privileges: -EPERM */
        if (netns >= 0) {
            use_socket(netns);
            close(netns);
        }
    }
    expect(lowest_free_descriptor() == before, "every descriptor is closed");
    if (argc > 1) {
        expect(ik_reply_new() != NULL, "memory");
    }
    return 0;
}
