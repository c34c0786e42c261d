/*
 * One normaliser per kind of `vary:` entry. A field is read as all its lines joined; each kind
 * turns that into one value, always the same for the same bytes.
 */
#include "policy/normalise.h"

#include "policy/weighted.h"

#include <stdlib.h>

const struct vary_config *vary_find(const struct policy *policy, slice field)
{
    for (size_t i = 0; i < policy->vary_count; i++)
        if (policy->vary[i].kind != VARY_COOKIES && slice_equal(policy->vary[i].field, field))
            return &policy->vary[i];
    return NULL;
}

const struct vary_config *vary_find_either(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->vary_count; i++)
        if (policy->vary[i].kind != VARY_COOKIES && policy->vary[i].as.len &&
            slice_equal(policy->vary[i].as, name))
            return &policy->vary[i];
    return vary_find(policy, name);
}

bool vary_is_always(const struct vary_config *vary, bool is_sealed)
{
    return vary->always == VARY_ALWAYS || (vary->always == VARY_ALWAYS_DEFAULT && is_sealed);
}

slice vary_sent_name(const struct vary_config *vary)
{
    return vary->as.len ? vary->as : vary->field;
}

/* --- choose: RFC 4647 lookup --- */

struct range {
    slice tag;
    unsigned weight;
};

/* Ranges by descending weight, in order of arrival where weights are equal; without those of 0. */
static size_t parse_ranges(slice list, struct range ranges[LANGUAGE_RANGES_MAX])
{
    size_t count = 0;
    struct range range;
    while (count < LANGUAGE_RANGES_MAX && weighted_next(&list, &range.tag, &range.weight)) {
        if (range.weight == 0)
            continue;
        size_t at = count++;
        for (; at && ranges[at - 1].weight < range.weight; at--)
            ranges[at] = ranges[at - 1];
        ranges[at] = range;
    }
    return count;
}

static const slice *find_choice(const struct slices *choices, slice tag)
{
    for (size_t i = 0; i < choices->count; i++)
        if (slice_equal_nocase(choices->at[i], tag))
            return &choices->at[i];
    return NULL;
}

static size_t last_dash(slice tag)
{
    size_t at = tag.len;
    while (at && tag.ptr[at - 1] != '-')
        at--;
    return at ? at - 1 : 0;
}

/* Without its last subtag, and without a single letter or digit that then ends it (§3.4). */
static slice shorten(slice tag)
{
    tag = slice_until(tag, last_dash(tag));
    size_t dash = last_dash(tag);
    return dash && tag.len - dash == 2 ? slice_until(tag, dash) : tag;
}

slice language_choose(slice accept_language, const struct slices *choices, slice fallback)
{
    struct range ranges[LANGUAGE_RANGES_MAX];
    size_t count = parse_ranges(accept_language, ranges);
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(ranges[i].tag, SLICE("*")))
            return fallback;
        for (slice tag = ranges[i].tag; tag.len; tag = shorten(tag)) {
            const slice *choice = find_choice(choices, tag);
            if (choice)
                return *choice;
        }
    }
    return fallback;
}

/* --- map --- */

static const struct vary_class *class_of(const struct vary_config *vary, slice value)
{
    const struct vary_class *fallback = NULL;
    for (size_t i = 0; i < vary->map_count; i++) {
        if (!vary->map[i].match)
            fallback = fallback ? fallback : &vary->map[i];
        else if (regex_matches(vary->map[i].match, value))
            return &vary->map[i];
    }
    return fallback;
}

static bool map_value(const struct vary_config *vary, slice value, slice *sent)
{
    const struct vary_class *class = class_of(vary, value);
    if (!class)
        return false;
    *sent = vary->as.len ? class->name : class->send;
    return true;
}

/* --- sort --- */

static size_t copy_without_spaces(char *out, slice text)
{
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] != ' ' && text.ptr[i] != '\t')
            out[len++] = ascii_lower(text.ptr[i]);
    return len;
}

static int compare_members(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

static slice sort_value(slice value, struct arena *arena)
{
    size_t count = 0, most = 1, len = 0;
    for (size_t i = 0; i < value.len; i++)
        most += value.ptr[i] == ',';
    slice *members = arena_array(arena, slice, most), member, rest = value;
    while (slice_next_member(&rest, &member)) {
        char *text = arena_alloc(arena, member.len + 1);
        members[count++] = slice_of(text, copy_without_spaces(text, member));
    }
    qsort(members, count, sizeof(*members), compare_members);
    char *out = arena_alloc(arena, value.len + 2 * count + 1);
    for (size_t i = 0; i < count; i++) {
        if (i) {
            out[len++] = ',';
            out[len++] = ' ';
        }
        if (members[i].len)
            memcpy(out + len, members[i].ptr, members[i].len);
        len += members[i].len;
    }
    return slice_of(out, len);
}

/* --- the rest --- */

bool vary_value(const struct vary_config *vary, const struct fields *fields, struct arena *arena,
                slice *value)
{
    slice raw = SLICE_NONE;
    bool is_sent = fields_join(fields, vary->field, arena, &raw);
    switch (vary->kind) {
    case VARY_CHOOSE:
        raw = language_choose(raw, &vary->choices, vary->default_choice);
        if (raw.len == 0)
            return false;
        *value = raw;
        return true;
    case VARY_MAP:
        return map_value(vary, raw, value);
    case VARY_SORT:
        if (is_sent)
            *value = sort_value(raw, arena);
        return is_sent;
    default:
        if (is_sent)
            *value = vary_as_sent(vary->field, raw, arena);
        return is_sent;
    }
}

static bool may_be_list(slice name)
{
    enum field_id id = field_id_of(name);
    return id != FIELD_USER_AGENT && id != FIELD_REFERER && id != FIELD_COOKIE &&
           id != FIELD_AUTHORIZATION && id != FIELD_ORIGIN && id != FIELD_DATE;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t';
}

/* Writes ", " for the comma at `at` and the white space about it; the last byte that was read. */
static size_t write_comma(slice value, size_t at, char *out, size_t *len)
{
    while (*len && is_space(out[*len - 1]))
        (*len)--;
    while (at + 1 < value.len && is_space(value.ptr[at + 1]))
        at++;
    out[(*len)++] = ',';
    out[(*len)++] = ' ';
    return at;
}

slice vary_canonical(slice name, slice value, struct arena *arena)
{
    if (slice_find(value, ',', 0) == value.len || !may_be_list(name))
        return value;
    char *out = arena_alloc(arena, value.len * 2 + 1);
    size_t len = 0;
    bool is_quoted = false;
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (!is_quoted && c == ',') {
            i = write_comma(value, i, out, &len);
            continue;
        }
        if (c == '"')
            is_quoted = !is_quoted;
        else if (is_quoted && c == '\\' && i + 1 < value.len)
            out[len++] = value.ptr[i++];
        out[len++] = value.ptr[i];
    }
    return slice_trim(slice_of(out, len));
}

static bool is_list(slice name)
{
    return slice_equal(name, SLICE("accept")) || slice_starts_with(name, SLICE("accept-")) ||
           slice_equal(name, SLICE("cache-control"));
}

slice vary_as_sent(slice name, slice value, struct arena *arena)
{
    return is_list(name) ? vary_canonical(name, value, arena) : value;
}
