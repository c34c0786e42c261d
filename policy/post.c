/*
 * `post: rfc`: the answer to a POST that says of itself that it is the page of its own URL
 * (RFC 9110 §9.3.3). Such a POST goes out as a pass, with everything of the client's; its answer is
 * for others only if nothing went along that a fill of the page would have held back.
 */
#include "policy/head.h"
#include "policy/reference.h"
#include "policy/response.h"

/* Of the content that came with the POST, or set by varve and the origin client on each request:
 * they say nothing of who asks for which page. */
static bool is_of_content(const struct field *field)
{
    return slice_starts_with(field->name, SLICE("content-")) || field->id == FIELD_EXPECT ||
           field->id == FIELD_VIA || head_is_ours(field->id);
}

static bool is_sent_by(const struct forward *fill, const struct field *field)
{
    for (size_t i = 0; i < fill->fields.count; i++)
        if (slice_equal(fill->fields.at[i].name, field->name) &&
            slice_equal(fill->fields.at[i].value, field->value))
            return true;
    return false;
}

static bool is_within(const struct forward *pass, const struct forward *fill)
{
    for (size_t i = 0; i < pass->fields.count; i++)
        if (!is_of_content(&pass->fields.at[i]) && !is_sent_by(fill, &pass->fields.at[i]))
            return false;
    return true;
}

bool rules_post_is_page(const struct request *post, const struct forward *pass,
                        const struct forward *fill, const struct response *response)
{
    struct reference target;
    const struct field *location = fields_find_id(&response->fields, FIELD_CONTENT_LOCATION);
    return response->status == 200 && location && !fill->is_unkeyable &&
           fields_count_id(&response->fields, FIELD_CONTENT_LOCATION) == 1 &&
           reference_resolve(post, location->value, &target) && reference_is_own(post, &target) &&
           is_within(pass, fill);
}
