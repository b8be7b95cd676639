/* The attributes of sets, both ways, as a table.
 *
 * Knows: kinds, byte orders. Must not know: commands. See ik_ipset.h.
 *
 * The kernel is not consistent in what it marks as being in network order, so reading goes by the mark and not by the attribute.
 */
#include "ik_ipset_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

enum kind { NUMBER, TEXT, PLACE };

struct spec {
    uint8_t type;
    uint8_t kind;
    uint8_t size;
    uint16_t offset;
    uint32_t bit;
};

#define FIELD(number, how, field, mark)                                                                                        \
    {                                                                                                                          \
        .type = (number), .kind = (how), .size = sizeof(((struct ik_ipset_set *)0)->field),                                    \
        .offset = offsetof(struct ik_ipset_set, field), .bit = (mark),                                                         \
    }

static const struct spec data_specs[] = {
    FIELD(IK_D_IP, PLACE, from, IK_SET_FROM),
    FIELD(IK_D_IP_TO, PLACE, to, IK_SET_TO),
    FIELD(IK_D_CIDR, NUMBER, prefix, IK_SET_PREFIX),
    FIELD(IK_D_PORT, NUMBER, low_port, IK_SET_LOW_PORT),
    FIELD(IK_D_PORT_TO, NUMBER, high_port, IK_SET_HIGH_PORT),
    FIELD(IK_D_TIMEOUT, NUMBER, timeout, IK_SET_TIMEOUT),
    FIELD(IK_D_CADT_FLAGS, NUMBER, flags, IK_SET_FLAGS),
    FIELD(IK_D_MARKMASK, NUMBER, markmask, IK_SET_MARKMASK),
    FIELD(IK_D_BITMASK, PLACE, bitmask, IK_SET_BITMASK),
    FIELD(IK_D_INITVAL, NUMBER, initval, IK_SET_INITVAL),
    FIELD(IK_D_HASHSIZE, NUMBER, hashsize, IK_SET_HASHSIZE),
    FIELD(IK_D_MAXELEM, NUMBER, maxelem, IK_SET_MAXELEM),
    FIELD(IK_D_NETMASK, NUMBER, netmask, IK_SET_NETMASK),
    FIELD(IK_D_BUCKETSIZE, NUMBER, bucketsize, IK_SET_BUCKETSIZE),
    FIELD(IK_D_SIZE, NUMBER, size, IK_SET_SIZE),
    FIELD(IK_D_ELEMENTS, NUMBER, elements, IK_SET_ELEMENTS),
    FIELD(IK_D_REFERENCES, NUMBER, references, IK_SET_REFERENCES),
    FIELD(IK_D_MEMSIZE, NUMBER, memory, IK_SET_MEMORY),
};

static const struct spec command_specs[] = {
    FIELD(IK_A_PROTOCOL, NUMBER, protocol, IK_SET_PROTOCOL), FIELD(IK_A_SETNAME, TEXT, name, IK_SET_NAME),
    FIELD(IK_A_TYPENAME, TEXT, name2, IK_SET_NAME2),         FIELD(IK_A_REVISION, NUMBER, revision, IK_SET_REVISION),
    FIELD(IK_A_FAMILY, NUMBER, family, IK_SET_FAMILY),       FIELD(IK_A_LEAST, NUMBER, least, IK_SET_LEAST),
    FIELD(IK_A_INDEX, NUMBER, set_index, IK_SET_INDEX),
};

enum { DATA_SPECS = sizeof(data_specs) / sizeof(data_specs[0]), COMMAND_SPECS = sizeof(command_specs) / sizeof(command_specs[0]) };

static int decode_number(const struct spec *spec, const struct ik_attr *attr, uint8_t *field)
{
    uint16_t narrow;
    uint32_t wide;

    if (attr->payload.left != spec->size) {
        return -EBADMSG;
    }
    memcpy(field, attr->payload.data, spec->size);
    if (!attr->network_order) {
        return 1;
    }
    if (spec->size == sizeof(narrow)) {
        memcpy(&narrow, field, sizeof(narrow));
        narrow = ntohs(narrow);
        memcpy(field, &narrow, sizeof(narrow));
    } else if (spec->size == sizeof(wide)) {
        memcpy(&wide, field, sizeof(wide));
        wide = ntohl(wide);
        memcpy(field, &wide, sizeof(wide));
    }
    return 1;
}

static int decode_place(const struct ik_attr *attr, uint8_t *field)
{
    struct ik_reader nest = attr->payload;
    struct ik_attr inner;

    if (ik_next_attr(&nest, &inner) <= 0 || (inner.payload.left != 4 && inner.payload.left != 16)) {
        return -EBADMSG;
    }
    memset(field, 0, 16);
    memcpy(field, inner.payload.data, inner.payload.left);
    return 1;
}

static int decode_text(const struct spec *spec, const struct ik_attr *attr, uint8_t *field)
{
    if (attr->payload.left > spec->size || memchr(attr->payload.data, 0, attr->payload.left) == NULL) {
        return -EBADMSG;
    }
    memset(field, 0, spec->size);
    memcpy(field, attr->payload.data, strnlen((const char *)attr->payload.data, attr->payload.left));
    return 1;
}

static int decode(const struct spec *specs, size_t count, const struct ik_attr *attr, struct ik_ipset_set *out)
{
    for (size_t i = 0; i < count; i++) {
        if (specs[i].type != attr->type) {
            continue;
        }
        uint8_t *field = (uint8_t *)out + specs[i].offset;
        int result = specs[i].kind == NUMBER  ? decode_number(&specs[i], attr, field)
                     : specs[i].kind == PLACE ? decode_place(attr, field)
                                              : decode_text(&specs[i], attr, field);
        if (result > 0) {
            out->present |= specs[i].bit;
        }
        return result;
    }
    return 0;
}

int ik_ipset_decode_set_attr(const struct ik_attr *attr, struct ik_ipset_set *out)
{
    return decode(command_specs, COMMAND_SPECS, attr, out);
}

int ik_ipset_decode_set_data(struct ik_reader payload, struct ik_ipset_set *out)
{
    struct ik_attr attr;
    int more;

    while ((more = ik_next_attr(&payload, &attr)) > 0) {
        int result = decode(data_specs, DATA_SPECS, &attr, out);
        if (result < 0) {
            return result;
        }
    }
    return more;
}

static void put_number(struct ik_writer *writer, const struct spec *spec, const uint8_t *field)
{
    uint16_t narrow;
    uint32_t wide;

    if (spec->size == sizeof(narrow)) {
        memcpy(&narrow, field, sizeof(narrow));
        narrow = htons(narrow);
        ik_put_attr(writer, (uint16_t)(spec->type | IK_NBO), &narrow, sizeof(narrow));
    } else if (spec->size == sizeof(wide)) {
        memcpy(&wide, field, sizeof(wide));
        wide = htonl(wide);
        ik_put_attr(writer, (uint16_t)(spec->type | IK_NBO), &wide, sizeof(wide));
    } else {
        ik_put_attr(writer, spec->type, field, spec->size);
    }
}

static void put_text(struct ik_writer *writer, const struct spec *spec, const uint8_t *field)
{
    uint8_t text[IK_NAME] = {0};
    size_t length = strnlen((const char *)field, IK_NAME - 1);

    memcpy(text, field, length);
    ik_put_attr(writer, spec->type, text, length + 1);
}

static void put_place(struct ik_writer *writer, const struct spec *spec, const uint8_t *field, uint8_t family)
{
    size_t nest = ik_nest_begin(writer, spec->type);

    if (family == AF_INET6) {
        ik_put_attr(writer, IK_IPADDR_IPV6 | IK_NBO, field, 16);
    } else {
        ik_put_attr(writer, IK_IPADDR_IPV4 | IK_NBO, field, 4);
    }
    ik_nest_end(writer, nest);
}

static void put_all(struct ik_writer *writer, const struct spec *specs, size_t count, const struct ik_ipset_set *set)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *field = (const uint8_t *)set + specs[i].offset;
        if (!(set->present & specs[i].bit)) {
            continue;
        }
        if (specs[i].kind == NUMBER) {
            put_number(writer, &specs[i], field);
        } else if (specs[i].kind == TEXT) {
            put_text(writer, &specs[i], field);
        } else {
            put_place(writer, &specs[i], field, set->family);
        }
    }
}

size_t ik_ipset_begin(struct ik_writer *writer, uint32_t command, uint32_t flags, uint32_t sequence)
{
    const uint8_t header[IK_NFGENMSG] = {AF_INET};
    const uint8_t protocol = IK_IPSET_PROTOCOL;
    size_t start = ik_message_begin(writer, (uint16_t)(IK_IPSET_SUBSYS << 8 | command), (uint16_t)(1u | flags), sequence);
    uint8_t *room = ik_put_room(writer, IK_NFGENMSG);

    if (room != NULL) {
        memcpy(room, header, sizeof(header));
    }
    ik_put_attr(writer, IK_A_PROTOCOL, &protocol, sizeof(protocol));
    return start;
}

static void put_command(struct ik_writer *writer, const struct ik_ipset_command *command, uint32_t sequence)
{
    struct ik_ipset_set set = command->set;
    size_t start = ik_ipset_begin(writer, command->command, command->flags, sequence);

    set.present &= ~(uint32_t)IK_SET_PROTOCOL;
    put_all(writer, command_specs, COMMAND_SPECS, &set);
    if (command->listing != 0) {
        uint32_t listing = htonl(command->listing);
        ik_put_attr(writer, IK_A_FLAGS | IK_NBO, &listing, sizeof(listing));
    }
    if (command->command == IK_CMD_CREATE) {
        size_t nest = ik_nest_begin(writer, IK_A_DATA);
        put_all(writer, data_specs, DATA_SPECS, &set);
        ik_nest_end(writer, nest);
    }
    ik_message_end(writer, start);
}

long ik_ipset_encode(const struct ik_ipset_command *commands, size_t count, uint32_t sequence, uint8_t *out, size_t room, size_t *used)
{
    struct ik_writer writer;
    size_t done = 0;

    ik_writer_init(&writer, out, room);
    *used = 0;
    for (; done < count; done++) {
        if (commands[done].command < IK_CMD_PROTOCOL || commands[done].command > IK_CMD_GET_BYINDEX) {
            return -EINVAL;
        }
        put_command(&writer, &commands[done], sequence + (uint32_t)done);
        if (writer.overflow) {
            break;
        }
        *used = writer.length;
    }
    return done == 0 && count > 0 ? -ENOSPC : (long)done;
}
