/* Knows: namespaces and the short-lived thread that enters them. Must not know: netlink. See ik_netns.h. */
#include "ik_netns.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define OWN "/proc/thread-self/ns/net"

struct visit {
    int netns;
    bool create;
    const char *path; /* NULL: open a socket */
    int flags;
    int family, type, protocol;
    int result;
};

static int open_what_was_asked(const struct visit *visit)
{
    int descriptor = visit->path != NULL ? open(visit->path, visit->flags | O_CLOEXEC)
                                         : socket(visit->family, visit->type | SOCK_CLOEXEC, visit->protocol);

    return descriptor < 0 ? -errno : descriptor;
}

static void *visitor(void *argument)
{
    struct visit *visit = argument;
    int moved = visit->create ? unshare(CLONE_NEWNET) : setns(visit->netns, CLONE_NEWNET);

    visit->result = moved != 0 ? -errno : open_what_was_asked(visit);
    return NULL;
}

/* Entering takes a privilege; the caller is where it is without one. */
static bool is_own(int netns)
{
    struct stat theirs, ours;

    return fstat(netns, &theirs) == 0 && stat(OWN, &ours) == 0 && theirs.st_dev == ours.st_dev && theirs.st_ino == ours.st_ino;
}

static int in_thread(struct visit *visit)
{
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&thread, NULL, visitor, visit);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed) {
        return -failed;
    }
    pthread_join(thread, NULL);
    return visit->result;
}

int ik_netns_socket(int netns, int family, int type, int protocol)
{
    struct visit visit = {.netns = netns, .family = family, .type = type, .protocol = protocol};

    return netns < 0 || is_own(netns) ? open_what_was_asked(&visit) : in_thread(&visit);
}

int ik_netns_open(int netns, const char *path, int flags)
{
    struct visit visit = {.netns = netns, .path = path, .flags = flags};

    return netns < 0 || is_own(netns) ? open_what_was_asked(&visit) : in_thread(&visit);
}

int ik_netns_current(void) { return ik_netns_open(-1, OWN, O_RDONLY); }

int ik_netns_create(void)
{
    struct visit visit = {.netns = -1, .create = true, .path = OWN, .flags = O_RDONLY};

    return in_thread(&visit);
}

int ik_netns_enter(int netns) { return setns(netns, CLONE_NEWNET) == 0 ? 0 : -errno; }
