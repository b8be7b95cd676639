/* Knows: the names of protocols, services and types of ICMP. Must not know: elements. See ik_element.h. */
#include "ik_element.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

/* As /etc/protocols of Debian 12 has them, so that a list reads as that of ipset there, and no file is read for each of a million elements. */
static const char *const protocols[256] = {
    [0] = "ip",           [1] = "icmp",        [2] = "igmp",        [3] = "ggp",         [4] = "ipencap",
    [5] = "st",           [6] = "tcp",         [8] = "egp",         [9] = "igp",         [12] = "pup",
    [17] = "udp",         [20] = "hmp",        [22] = "xns-idp",    [27] = "rdp",        [29] = "iso-tp4",
    [33] = "dccp",        [36] = "xtp",        [37] = "ddp",        [38] = "idpr-cmtp",  [41] = "ipv6",
    [43] = "ipv6-route",  [44] = "ipv6-frag",  [45] = "idrp",       [46] = "rsvp",       [47] = "gre",
    [50] = "esp",         [51] = "ah",         [57] = "skip",       [58] = "ipv6-icmp",  [59] = "ipv6-nonxt",
    [60] = "ipv6-opts",   [73] = "rspf",       [81] = "vmtp",       [88] = "eigrp",      [89] = "ospf",
    [93] = "ax.25",       [94] = "ipip",       [97] = "etherip",    [98] = "encap",      [103] = "pim",
    [108] = "ipcomp",     [112] = "vrrp",      [115] = "l2tp",      [124] = "isis",      [132] = "sctp",
    [133] = "fc",         [135] = "mobility-header",                [136] = "udplite",   [137] = "mpls-in-ip",
    [138] = "manet",      [139] = "hip",       [140] = "shim6",     [141] = "wesp",      [142] = "rohc",
    [143] = "ethernet",
};

struct name {
    char name[30];
    uint16_t number;
};

static const struct name protocol_aliases[] = {
    {"icmpv6", 58}, {"hopopt", 0},  {"ip-encap", 4}, {"ipsec-esp", 50},
    {"ipsec-ah", 51}, {"ospfigp", 89}, {"cphb", 73},
};

#define ICMP(type, code) ((type) << 8 | (code))

/* The names that lists have come before others of the same number. */
static const struct name icmp_names[] = {
    {"echo-reply", ICMP(0, 0)},
    {"pong", ICMP(0, 0)},
    {"network-unreachable", ICMP(3, 0)},
    {"host-unreachable", ICMP(3, 1)},
    {"protocol-unreachable", ICMP(3, 2)},
    {"port-unreachable", ICMP(3, 3)},
    {"fragmentation-needed", ICMP(3, 4)},
    {"source-route-failed", ICMP(3, 5)},
    {"network-unknown", ICMP(3, 6)},
    {"host-unknown", ICMP(3, 7)},
    {"network-prohibited", ICMP(3, 9)},
    {"host-prohibited", ICMP(3, 10)},
    {"TOS-network-unreachable", ICMP(3, 11)},
    {"TOS-host-unreachable", ICMP(3, 12)},
    {"communication-prohibited", ICMP(3, 13)},
    {"host-precedence-violation", ICMP(3, 14)},
    {"precedence-cutoff", ICMP(3, 15)},
    {"source-quench", ICMP(4, 0)},
    {"network-redirect", ICMP(5, 0)},
    {"host-redirect", ICMP(5, 1)},
    {"TOS-network-redirect", ICMP(5, 2)},
    {"TOS-host-redirect", ICMP(5, 3)},
    {"echo-request", ICMP(8, 0)},
    {"ping", ICMP(8, 0)},
    {"router-advertisement", ICMP(9, 0)},
    {"router-solicitation", ICMP(10, 0)},
    {"ttl-zero-during-transit", ICMP(11, 0)},
    {"ttl-zero-during-reassembly", ICMP(11, 1)},
    {"ip-header-bad", ICMP(12, 0)},
    {"required-option-missing", ICMP(12, 1)},
    {"timestamp-request", ICMP(13, 0)},
    {"timestamp-reply", ICMP(14, 0)},
    {"address-mask-request", ICMP(17, 0)},
    {"address-mask-reply", ICMP(18, 0)},
};

static const struct name icmp6_names[] = {
    {"no-route", ICMP(1, 0)},
    {"communication-prohibited", ICMP(1, 1)},
    {"address-unreachable", ICMP(1, 3)},
    {"port-unreachable", ICMP(1, 4)},
    {"packet-too-big", ICMP(2, 0)},
    {"ttl-zero-during-transit", ICMP(3, 0)},
    {"ttl-zero-during-reassembly", ICMP(3, 1)},
    {"bad-header", ICMP(4, 0)},
    {"unknown-header-type", ICMP(4, 1)},
    {"unknown-option", ICMP(4, 2)},
    {"echo-request", ICMP(128, 0)},
    {"ping", ICMP(128, 0)},
    {"echo-reply", ICMP(129, 0)},
    {"pong", ICMP(129, 0)},
    {"router-solicitation", ICMP(133, 0)},
    {"router-advertisement", ICMP(134, 0)},
    {"neighbour-solicitation", ICMP(135, 0)},
    {"neigbour-solicitation", ICMP(135, 0)}, /* sic: what ipset(8) takes as well */
    {"neighbour-advertisement", ICMP(136, 0)},
    {"neigbour-advertisement", ICMP(136, 0)},
    {"redirect", ICMP(137, 0)},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool same(const char *known, const char *name, size_t length)
{
    return strlen(known) == length && strncasecmp(known, name, length) == 0;
}

static int find_name(const struct name *names, size_t count, const char *name, size_t length)
{
    for (size_t i = 0; i < count; i++) {
        if (same(names[i].name, name, length)) {
            return names[i].number;
        }
    }
    return -1;
}

/* What the C library looks up by must end. */
static bool copy_name(const char *name, size_t length, char *copy, size_t room)
{
    if (length == 0 || length >= room || memchr(name, 0, length) != NULL) {
        return false;
    }
    memcpy(copy, name, length);
    copy[length] = 0;
    return true;
}

static int ask_for_protocol(const char *name, size_t length)
{
    struct protoent entry;
    struct protoent *found = NULL;
    char copy[64];
    char room[2048];

    if (!copy_name(name, length, copy, sizeof(copy)) || getprotobyname_r(copy, &entry, room, sizeof(room), &found) != 0 || found == NULL) {
        return -1;
    }
    return found->p_proto >= 0 && found->p_proto <= 255 ? found->p_proto : -1;
}

int ik_protocol_number(const char *name, size_t length)
{
    if (length == 3 && (same("tcp", name, length) || same("udp", name, length))) {
        return (name[0] | 32) == 't' ? 6 : 17;
    }
    for (int i = 0; i < 256; i++) {
        if (protocols[i] != NULL && same(protocols[i], name, length)) {
            return i;
        }
    }
    int found = find_name(protocol_aliases, COUNT(protocol_aliases), name, length);
    return found >= 0 ? found : ask_for_protocol(name, length);
}

const char *ik_protocol_name(uint8_t number) { return protocols[number]; }

int ik_service_port(const char *name, size_t length, uint8_t protocol)
{
    struct servent entry;
    struct servent *found = NULL;
    char copy[64];
    char room[2048];
    const char *of = protocol == 0 ? NULL : protocols[protocol];

    if ((protocol != 0 && of == NULL) || !copy_name(name, length, copy, sizeof(copy)) ||
        getservbyname_r(copy, of, &entry, room, sizeof(room), &found) != 0 || found == NULL) {
        return -1;
    }
    return ntohs((uint16_t)found->s_port);
}

int ik_icmp_number(bool v6, const char *name, size_t length)
{
    return v6 ? find_name(icmp6_names, COUNT(icmp6_names), name, length) : find_name(icmp_names, COUNT(icmp_names), name, length);
}

const char *ik_icmp_name(bool v6, uint16_t number)
{
    const struct name *names = v6 ? icmp6_names : icmp_names;
    size_t count = v6 ? COUNT(icmp6_names) : COUNT(icmp_names);

    for (size_t i = 0; i < count; i++) {
        if (names[i].number == number) {
            return names[i].name;
        }
    }
    return NULL;
}
