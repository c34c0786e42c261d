/* Tags: Surrogate-Key and its relatives. Bounded at TAGS_MAX. */
#include "policy/tags.h"

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

bool tags_of_response(const struct policy *policy, const struct decision *decision,
                      const struct fields *fields, struct arena *arena, struct slices *tags)
{
    *tags = (struct slices){arena_array(arena, slice, TAGS_MAX), 0};
    for (size_t i = 0; i < decision->tags.count; i++)
        if (!add_tag(tags, decision->tags.at[i]))
            return false;
    for (size_t i = 0; i < fields->count; i++)
        if (is_tag_header(policy, fields->at[i].name) && !add_all(tags, fields->at[i].value))
            return false;
    return true;
}
