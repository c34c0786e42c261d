/*
 * `post: rfc`: the answer to a POST that says of itself that it is the page of its own URL
 * (RFC 9110 §9.3.3). Such a POST goes out as a pass, with everything of the client's; its answer is
 * for others only if a fill of the page would have asked for the same target and host, with the
 * same fields.
 */
#include "policy/head.h"
#include "policy/reference.h"
#include "policy/response.h"

/* Of the content that came with the POST, or set by varve and the origin client on each request:
 * they say nothing of who asks for which page. X-Forwarded-For does. */
static bool is_of_content(const struct field *field)
{
    return slice_starts_with(field->name, SLICE("content-")) || field->id == FIELD_EXPECT ||
           field->id == FIELD_VIA ||
           (head_is_ours(field->id) && field->id != FIELD_X_FORWARDED_FOR);
}

static bool is_sent_by(const struct forward *other, const struct field *field)
{
    for (size_t i = 0; i < other->fields.count; i++)
        if (slice_equal(other->fields.at[i].name, field->name) &&
            slice_equal(other->fields.at[i].value, field->value))
            return true;
    return false;
}

static bool is_within(const struct forward *one, const struct forward *other)
{
    for (size_t i = 0; i < one->fields.count; i++)
        if (!is_of_content(&one->fields.at[i]) && !is_sent_by(other, &one->fields.at[i]))
            return false;
    return true;
}

/* A pass says the host as the client wrote it, a fill the one that is in the key. */
static bool asks_the_same(const struct request *post, const struct forward *pass,
                          const struct forward *fill)
{
    return slice_equal(pass->target, fill->target) && slice_equal(post->host_raw, post->host) &&
           is_within(pass, fill) && is_within(fill, pass);
}

bool rules_post_is_page(const struct request *post, const struct forward *pass,
                        const struct forward *fill, const struct response *response)
{
    struct reference target;
    const struct field *location = fields_find_id(&response->fields, FIELD_CONTENT_LOCATION);
    return response->status == 200 && location && !fill->is_unkeyable &&
           fields_count_id(&response->fields, FIELD_CONTENT_LOCATION) == 1 &&
           reference_resolve(post, location->value, &target) && reference_is_own(post, &target) &&
           asks_the_same(post, pass, fill);
}
