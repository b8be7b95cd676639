/* Opening sockets and files in another network namespace.
 *
 * Knows: namespaces and threads. Must not know: netlink, Python.
 *
 * A thread made for the purpose enters the namespace, opens the descriptor and ends. The calling thread never leaves its own namespace, so
 * there is nothing to come back from, whatever fails on the way. A namespace is given as a descriptor; -1 means the caller's own.
 * All of these return a new descriptor (close-on-exec) or a negative errno.
 */
#ifndef IK_NETNS_H
#define IK_NETNS_H

int ik_netns_socket(int netns, int family, int type, int protocol);
int ik_netns_open(int netns, const char *path, int flags);

/* A descriptor of the caller's own network namespace, and of a new, empty one that lives as long as the descriptor. */
int ik_netns_current(void);
int ik_netns_create(void);

/* Move the calling thread for good (for a child process between fork and exec): 0 or a negative errno. */
int ik_netns_enter(int netns);

#endif
