/* Many lines of text into an element table, and back.
 *
 * Knows: lines. Must not know: the text of one element (ik_element_parse.c, ik_element_format.c), records. See ik_elements.h.
 */
#include "ik_elements.h"

#include <errno.h>
#include <string.h>

/* So many elements are appended to an empty table before those that are there twice are looked for: one by one that takes four times as long. */
enum { UNSETTLED = 1 << 22 };

struct intake {
    struct ik_elements *table;
    int how;
    bool settle;    /* appended although they may be there already */
    size_t settled; /* elements, of which none is there twice */
    uint64_t most;
    struct ik_text_result *result;
};

static int take(void *context, const struct ik_element *element)
{
    struct intake *intake = context;
    int changed;

    switch (intake->how) {
    case IK_APPEND:
        if (intake->settle && ik_elements_count(intake->table) >= 2 * intake->settled + UNSETTLED) {
            changed = ik_elements_settle(intake->table);
            if (changed < 0) {
                return changed;
            }
            intake->settled = ik_elements_count(intake->table);
        }
        changed = ik_elements_append(intake->table, element);
        changed = changed < 0 ? changed : 1;
        break;
    case IK_REMOVE:
        changed = ik_elements_remove(intake->table, element);
        break;
    default:
        changed = ik_elements_put(intake->table, element);
        break;
    }
    if (changed < 0) {
        return changed;
    }
    intake->result->changed += (uint64_t)changed;
    return 0;
}

/* The line without its end and the blanks around it. */
static void trim(const char **line, size_t *length)
{
    while (*length > 0 && (**line == ' ' || **line == '\t')) {
        ++*line;
        --*length;
    }
    while (*length > 0 && ((*line)[*length - 1] == ' ' || (*line)[*length - 1] == '\t' || (*line)[*length - 1] == '\r')) {
        --*length;
    }
}

static int take_line(struct intake *intake, const char *line, size_t length, struct ik_fault *fault)
{
    const struct ik_shape *shape = ik_elements_shape(intake->table);
    struct ik_element element;
    int result = ik_element_parse(shape, line, length, &element, fault);

    if (result < 0) {
        return result;
    }
    if (intake->how != IK_APPEND || intake->settle) {
        return ik_element_normalise(shape, &element, intake->most, take, intake, fault);
    }
    return take(intake, &element);
}

int ik_elements_parse(struct ik_elements *table, int intake, uint64_t most, const char *text, size_t length, struct ik_fault *faults,
                      size_t room, struct ik_text_result *result)
{
    struct intake into = {.table = table, .how = intake & ~(IK_EVERY_LINE | IK_STOP), .most = most, .result = result};

    memset(result, 0, sizeof(*result));
    if (into.how == IK_PUT && ik_elements_count(table) == 0) {
        into.how = IK_APPEND;
        into.settle = true;
    }
    /* Where every line counts, there is one behind the last break as well. */
    bool every = (intake & IK_EVERY_LINE) != 0, more = every || length > 0;
    while (more) {
        const char *end = memchr(text, '\n', length);
        size_t line_length = end != NULL ? (size_t)(end - text) : length;
        const char *line = text;
        size_t trimmed = line_length;
        struct ik_fault fault = {0};

        trim(&line, &trimmed);
        bool nothing = !every && (trimmed == 0 || *line == '#');
        int outcome = nothing ? 0 : take_line(&into, line, trimmed, &fault);
        if (outcome < 0 && outcome != -EINVAL) {
            return outcome;
        }
        if (outcome == -EINVAL) {
            fault.line = (uint32_t)result->lines;
            fault.offset += (uint32_t)(line - text);
            if (result->faults < room) {
                faults[result->faults] = fault;
            }
            result->faults++;
            more = !(intake & IK_STOP);
        }
        result->lines++;
        size_t step = line_length + (end != NULL);
        text += step;
        length -= step;
        more = more && end != NULL && (every || length > 0);
    }
    if (into.settle) {
        int outcome = ik_elements_settle(table);
        result->changed = ik_elements_count(table);
        return outcome;
    }
    return 0;
}

struct expansion {
    struct ik_elements *table;
    uint32_t given; /* options of the line */
};

/* With options that would not be listed (a mark of 0, an empty comment): whether the set has such options at all is for the kernel to say. */
static int append(void *context, const struct ik_element *element)
{
    const struct expansion *expansion = context;
    struct ik_element whole = *element;

    whole.present |= expansion->given;
    if (whole.comment == NULL) {
        whole.comment = "";
    }
    return ik_elements_append(expansion->table, &whole);
}

/* 0, also where there is a fault; -ENOMEM. */
static int expand_line(struct ik_elements *table, uint64_t most, const char *line, size_t length, struct ik_fault *fault)
{
    const struct ik_shape *shape = ik_elements_shape(table);
    struct ik_element element;

    memset(fault, 0, sizeof(*fault));
    trim(&line, &length);
    int result = ik_element_parse(shape, line, length, &element, fault);
    struct expansion expansion = {.table = table, .given = result < 0 ? 0 : element.present & ~(uint32_t)IK_HAS_RANGE};
    result = result < 0 ? result : ik_element_normalise(shape, &element, most, append, &expansion, fault);
    return result == -EINVAL ? 0 : result;
}

long ik_elements_expand(struct ik_elements *table, uint64_t most, const char *text, size_t length, uint32_t *ends, struct ik_fault *faults,
                        size_t room, size_t limit, size_t *taken)
{
    size_t lines = 0;

    *taken = 0;
    while (*taken < length && lines < room && (lines == 0 || ik_elements_count(table) < limit)) {
        const char *line = text + *taken;
        const char *end = memchr(line, '\n', length - *taken);
        size_t line_length = end != NULL ? (size_t)(end - line) : length - *taken;
        int result = expand_line(table, most, line, line_length, &faults[lines]);
        if (result < 0) {
            return result;
        }
        faults[lines].line = (uint32_t)lines;
        ends[lines++] = (uint32_t)ik_elements_count(table);
        *taken += line_length + (end != NULL);
    }
    return (long)lines;
}

int ik_elements_adopt(struct ik_elements *table, const struct ik_elements *from, int intake, uint64_t most, struct ik_fault *fault,
                      struct ik_text_result *result)
{
    struct intake into = {.table = table, .how = intake, .most = most, .result = result};
    const struct ik_shape *shape = ik_elements_shape(table), *other = ik_elements_shape(from);
    struct ik_element element;
    int outcome = table == from || shape->family != other->family || memcmp(shape->parts, other->parts, sizeof(shape->parts)) != 0
                      ? -EINVAL
                      : 0;

    memset(result, 0, sizeof(*result));
    memset(fault, 0, sizeof(*fault));
    for (size_t i = 0; outcome >= 0 && i < ik_elements_count(from); i++) {
        ik_elements_get(from, i, &element);
        outcome = ik_element_normalise(shape, &element, most, take, &into, fault);
        fault->line = (uint32_t)i;
    }
    return outcome < 0 ? outcome : 0;
}

static int is_there(void *context, const struct ik_element *element)
{
    long found = ik_elements_find(context, element);

    return found >= 0 ? 0 : found == -1 ? 1 : (int)found;
}

long ik_elements_contains(struct ik_elements *table, const char *text, size_t length, struct ik_fault *fault)
{
    const struct ik_shape *shape = ik_elements_shape(table);
    struct ik_element element;
    int result = ik_element_parse(shape, text, length, &element, fault);

    /* More elements than the table has cannot all be there; so many are not worth making. */
    result = result < 0 ? result : ik_element_normalise(shape, &element, UINT32_MAX, is_there, table, fault);
    return result < 0 ? result : result == 0;
}

size_t ik_elements_format(const struct ik_elements *table, size_t start, const char *prefix, size_t prefix_length, char *out, size_t room,
                          size_t *used)
{
    const struct ik_shape *shape = ik_elements_shape(table);
    struct ik_element element = {0};
    size_t done = 0;

    *used = 0;
    for (; start + done < ik_elements_count(table); done++) {
        if (room - *used < prefix_length + 1) {
            break;
        }
        ik_elements_get_next(table, start + done, &element);
        size_t length = ik_element_format(shape, &element, out + *used + prefix_length, room - *used - prefix_length - 1);
        if (length == 0) {
            break;
        }
        memcpy(out + *used, prefix, prefix_length);
        *used += prefix_length + length;
        out[(*used)++] = '\n';
    }
    return done;
}
