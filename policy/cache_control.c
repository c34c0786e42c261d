/*
 * Cache-Control and its targeted relatives fill the same table. Where a field is malformed the
 * reading is the careful one: freshness becomes zero, and a no-store, no-cache or private that
 * stands somewhere in the wreck still counts.
 */
#include "policy/cache_control.h"

#include "base/must.h"
#include "base/token.h"
#include "policy/structured.h"

enum directive_kind {
    DIRECTIVE_FLAG,
    DIRECTIVE_LIMIT,    /* no-cache, private: a flag, or a list of field names */
    DIRECTIVE_LIFETIME, /* invalid or no value: 0 */
    DIRECTIVE_STALE,    /* no value: 60 s */
};

static const struct directive_row {
    slice name;
    enum directive_kind kind;
    size_t offset;        /* of the bool or the duration */
    size_t fields_offset; /* DIRECTIVE_LIMIT: of the slice */
} rows[] = {
#define ROW(name, kind, member)                                                                    \
    {                                                                                              \
        {name, sizeof(name) - 1}, kind, offsetof(struct directives, member), 0                     \
    }
#define LIMIT_ROW(name, member, fields)                                                            \
    {                                                                                              \
        {name, sizeof(name) - 1}, DIRECTIVE_LIMIT, offsetof(struct directives, member),            \
            offsetof(struct directives, fields)                                                    \
    }
    ROW("no-store", DIRECTIVE_FLAG, no_store),
    LIMIT_ROW("private", is_private, private_fields),
    LIMIT_ROW("no-cache", no_cache, no_cache_fields),
    ROW("must-revalidate", DIRECTIVE_FLAG, must_revalidate),
    ROW("proxy-revalidate", DIRECTIVE_FLAG, proxy_revalidate),
    ROW("public", DIRECTIVE_FLAG, is_public),
    ROW("no-transform", DIRECTIVE_FLAG, no_transform),
    ROW("must-understand", DIRECTIVE_FLAG, must_understand),
    ROW("s-maxage", DIRECTIVE_LIFETIME, s_maxage),
    ROW("max-age", DIRECTIVE_LIFETIME, max_age),
    ROW("stale-while-revalidate", DIRECTIVE_STALE, stale_while_revalidate),
    ROW("stale-if-error", DIRECTIVE_STALE, stale_if_error),
#undef ROW
#undef LIMIT_ROW
};

static const struct directive_row *row_of(slice name)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (slice_equal_nocase(rows[i].name, name))
            return &rows[i];
    return NULL;
}

static bool *flag_at(struct directives *d, const struct directive_row *row)
{
    return (bool *)((char *)d + row->offset);
}

static duration *duration_at(struct directives *d, const struct directive_row *row)
{
    return (duration *)((char *)d + row->offset);
}

static slice *fields_at(struct directives *d, const struct directive_row *row)
{
    return (slice *)((char *)d + row->fields_offset);
}

static void directives_init(struct directives *d)
{
    *d = (struct directives){.s_maxage = DURATION_NONE,
                             .max_age = DURATION_NONE,
                             .stale_while_revalidate = DURATION_NONE,
                             .stale_if_error = DURATION_NONE};
}

bool delta_seconds_parse(slice text, duration *value)
{
    uint64_t seconds;
    if (!slice_to_u64(text, &seconds))
        return false;
    *value = duration_of_seconds(seconds > INT64_MAX ? INT64_MAX : (int64_t)seconds);
    return true;
}

/* The inside of a complete quoted-string, escapes left in; anything else as it is. */
static slice unquote(slice value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return slice_of(value.ptr + 1, value.len - 2);
    return value;
}

static bool is_field_list(slice names)
{
    slice name;
    if (slice_is_empty(names))
        return false;
    while (slice_next_member(&names, &name))
        if (!is_token(name))
            return false;
    return true;
}

/* A second list, or one that cannot be read, limits the whole response: the careful reading. */
static void set_limit(struct directives *d, const struct directive_row *row, slice names)
{
    slice *fields = fields_at(d, row);
    if (slice_is_empty(*fields) && is_field_list(names))
        *fields = names;
    else
        *flag_at(d, row) = true;
}

/* --- Cache-Control --- */

static void set_seconds(struct directives *d, const struct directive_row *row, bool has_value,
                        slice value)
{
    duration *place = duration_at(d, row);
    if (duration_is_given(*place))
        return; /* the first one wins (RFC 9111 §4.2.1) */
    if (!has_value && row->kind == DIRECTIVE_STALE)
        *place = duration_of_seconds(60);
    else if (!delta_seconds_parse(unquote(value), place))
        *place = (duration){0};
}

/* A malformed member has no meaning, but one that seems to forbid storing is taken at its word. */
static void salvage(struct directives *d, slice member)
{
    for (slice rest = member; rest.len > 0;) {
        slice word = slice_until(rest, token_length(rest));
        rest = slice_from(rest, word.len + 1);
        const struct directive_row *row = row_of(word);
        if (row && (row->kind == DIRECTIVE_LIMIT || slice_equal_nocase(word, SLICE("no-store"))))
            *flag_at(d, row) = true;
    }
}

static bool is_well_formed_value(slice value)
{
    size_t end = 1;
    if (value.len == 0 || value.ptr[0] != '"')
        return value.len == 0 || is_token(value);
    while (end < value.len && value.ptr[end] != '"')
        end += value.ptr[end] == '\\' ? 2 : 1;
    return end + 1 == value.len;
}

static void read_member(struct directives *d, slice member)
{
    size_t equals = slice_find(member, '=', 0);
    slice name = slice_until(member, equals), value = slice_from(member, equals + 1);
    bool has_value = equals < member.len;
    bool has_space = value.len && (value.ptr[0] == ' ' || value.ptr[0] == '\t');
    if (!is_token(name) || has_space) {
        salvage(d, member); /* "max-age =1", "max-age= 1", "no-cache no-store" */
        return;
    }
    if (!is_well_formed_value(value))
        salvage(d, value);
    const struct directive_row *row = row_of(name);
    if (!row)
        return;
    if (row->kind == DIRECTIVE_FLAG || (row->kind == DIRECTIVE_LIMIT && !has_value))
        *flag_at(d, row) = true;
    else if (row->kind == DIRECTIVE_LIMIT)
        set_limit(d, row, unquote(value));
    else
        set_seconds(d, row, has_value, value);
}

void cache_control_parse(slice text, struct directives *directives)
{
    slice rest = text, member;
    directives_init(directives);
    while (slice_next_member(&rest, &member))
        read_member(directives, member);
}

/* --- targeted fields --- */

struct targeted_visit {
    struct directives *directives;
    size_t count;
};

static duration seconds_of_member(const struct sf_member *member, enum directive_kind kind)
{
    if (member->type == SF_INTEGER && member->integer > 0)
        return duration_of_seconds(member->integer);
    bool is_bare = member->type == SF_BOOLEAN && member->boolean;
    return is_bare && kind == DIRECTIVE_STALE ? duration_of_seconds(60) : (duration){0};
}

/* The last of several members with one key counts (RFC 9651 §4.2.2): each visit sets anew. */
static void visit_member(void *arg, const struct sf_member *member)
{
    struct targeted_visit *visit = arg;
    struct directives *d = visit->directives;
    const struct directive_row *row = row_of(member->key);
    visit->count++;
    if (!row)
        return;
    bool is_on = member->type != SF_BOOLEAN || member->boolean;
    if (row->kind == DIRECTIVE_FLAG) {
        *flag_at(d, row) = is_on;
    } else if (row->kind == DIRECTIVE_LIMIT) {
        bool is_list = member->type == SF_STRING && is_field_list(member->text);
        *fields_at(d, row) = is_list ? member->text : SLICE_NONE;
        *flag_at(d, row) = is_on && !is_list;
    } else {
        *duration_at(d, row) = seconds_of_member(member, row->kind);
    }
}

bool targeted_parse(slice text, struct directives *directives)
{
    struct targeted_visit visit = {directives, 0};
    directives_init(directives);
    directives->is_targeted = sf_dictionary_each(text, visit_member, &visit) && visit.count > 0;
    if (!directives->is_targeted)
        directives_init(directives);
    return directives->is_targeted;
}

void directives_of(const struct fields *fields, struct slices targeted, struct arena *arena,
                   struct directives *directives)
{
    struct directives plain;
    slice text = SLICE_NONE;
    fields_join(fields, field_name_of(FIELD_CACHE_CONTROL), arena, &text);
    cache_control_parse(text, &plain);
    *directives = plain;
    for (size_t i = 0; i < targeted.count; i++) {
        if (fields_join(fields, targeted.at[i], arena, &text) && targeted_parse(text, directives)) {
            directives->no_transform |= plain.no_transform;
            return;
        }
    }
    *directives = plain;
}
