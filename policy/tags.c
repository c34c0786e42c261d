/* Tags: Surrogate-Key and its relatives, and cache groups. Bounded at TAGS_MAX. */
#include "policy/response.h"
#include "policy/structured.h"
#include "policy/twins.h"

static bool add_tag(struct slices *tags, slice tag)
{
    if (tag.len == 0)
        return true;
    for (size_t i = 0; i < tags->count; i++)
        if (slice_equal(tags->at[i], tag))
            return true;
    if (tags->count == TAGS_MAX)
        return false;
    tags->at[tags->count++] = tag;
    return true;
}

static bool is_separator(char c)
{
    return c == ' ' || c == ',' || c == '\t';
}

static bool add_all(struct slices *tags, slice value)
{
    size_t end;
    for (size_t start = 0; start < value.len; start = end + 1) {
        for (end = start; end < value.len && !is_separator(value.ptr[end]);)
            end++;
        if (!add_tag(tags, slice_of(value.ptr + start, end - start)))
            return false;
    }
    return true;
}

static bool is_tag_header(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->purge_tag_headers.count; i++)
        if (slice_equal(policy->purge_tag_headers.at[i], name))
            return true;
    return false;
}

/* --- cache groups: RFC 9875 --- */

struct group_reader {
    const struct request *request;
    struct arena *arena;
    struct slices *tags;
    bool is_valid, fits;
};

static void look_at_group(void *arg, const struct sf_member *member)
{
    struct group_reader *reader = arg;
    reader->is_valid = reader->is_valid && member->type == SF_STRING;
}

static void add_group(void *arg, const struct sf_member *member)
{
    struct group_reader *r = arg;
    if (!r->fits)
        return;
    slice name = sf_string_value(member->text, r->arena);
    const slice parts[] = {r->request->scheme, SLICE("://"), r->request->host, SLICE(" "), name};
    r->fits = add_tag(r->tags, arena_concat(r->arena, parts, 5));
}

/* A field that is no List of Strings counts as absent (RFC 9651 §4.2), parameters play no part. */
static bool add_groups(const struct request *request, const struct fields *fields,
                       enum field_id field, struct arena *arena, struct slices *tags)
{
    struct group_reader reader = {request, arena, tags, true, true};
    slice list;
    if (fields_join_id(fields, field, arena, &list) && sf_list_each(list, look_at_group, &reader) &&
        reader.is_valid)
        (void)sf_list_each(list, add_group, &reader);
    return reader.fits;
}

bool rules_invalidated_groups(const struct request *request, const struct fields *fields,
                              struct arena *arena, struct slices *tags)
{
    *tags = (struct slices){arena_array(arena, slice, TAGS_MAX), 0};
    return add_groups(request, fields, FIELD_CACHE_GROUP_INVALIDATION, arena, tags);
}

bool rules_tags(const struct policy *policy, const struct request *request,
                const struct decision *decision, const struct fields *fields, struct arena *arena,
                struct slices *tags)
{
    *tags = (struct slices){arena_array(arena, slice, TAGS_MAX), 0};
    (void)add_tag(tags, twins_tag_of(policy, request, decision, arena));
    for (size_t i = 0; i < decision->tags.count; i++)
        if (!add_tag(tags, decision->tags.at[i]))
            return false;
    for (size_t i = 0; i < fields->count; i++)
        if (is_tag_header(policy, fields->at[i].name) && !add_all(tags, fields->at[i].value))
            return false;
    return add_groups(request, fields, FIELD_CACHE_GROUPS, arena, tags);
}
