/* Passes: everything the client said, but for what concerns this hop or is ours to say (semantics
 * 2.8). */
#include "base/text.h"
#include "policy/head.h"
#include "policy/max_forwards.h"
#include "policy/normalise.h"
#include "policy/seal.h"
#include "policy/template.h"
#include "policy/via.h"

static bool is_passed(const struct policy *policy, const struct request *request,
                      const struct decision *decision, const struct field *field)
{
    if (seal_is_hop_by_hop(&request->fields, field) || head_is_ours(field->id) ||
        head_is_replaced(policy, decision, field->name))
        return false;
    if (slice_starts_with(field->name, SLICE("x-forwarded-")) && !request->peer_is_trusted)
        return false;
    return policy->seal == SEAL_OFF || !seal_is_internal(field->name);
}

/* HTTP/2 splits Cookie into several lines; HTTP/1 has one (RFC 9113 §8.2.3). */
static slice join_cookies(const struct request *request)
{
    struct text joined = {.arena = request->arena};
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *field = &request->fields.at[i];
        if (field->id != FIELD_COOKIE)
            continue;
        if (joined.len)
            text_add(&joined, SLICE("; "));
        text_add(&joined, field->value);
    }
    return text_view(&joined);
}

/* The class of a client counts for pages of its own, too. */
static void add_classes(const struct policy *policy, const struct request *request,
                        struct fields *fields)
{
    slice value;
    for (size_t i = 0; i < policy->vary_count; i++) {
        const struct vary_config *vary = &policy->vary[i];
        if (vary->kind != VARY_COOKIES && vary->as.len && !slice_equal(vary->as, vary->field) &&
            vary_value(vary, &request->fields, request->arena, &value))
            fields_add(fields, vary->as, value);
    }
}

/* What may become a page for others is no private matter (semantics 2.8). */
static void add_client_address(const struct request *request, const struct decision *decision,
                               struct fields *fields)
{
    slice forwarded_for = head_forwarded_for(request);
    bool is_sent = !decision->may_store_post || decision->origin->forward_client_address;
    if (is_sent && forwarded_for.len)
        fields_add_id(fields, FIELD_X_FORWARDED_FOR, forwarded_for);
}

void forward_pass(const struct policy *policy, const struct request *request,
                  const struct decision *decision, struct forward *forward)
{
    struct fields *fields = &forward->fields;
    *forward = (struct forward){.method = request->method_text};
    forward->target = template_target(request, decision, request->query, request->has_query);
    fields_init(fields, request->arena);
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field field = max_forwards_next(request, &request->fields.at[i]);
        if (!is_passed(policy, request, decision, &field))
            continue;
        if (field.id != FIELD_COOKIE)
            fields_push(fields, &field);
        else if (!fields_find_id(fields, FIELD_COOKIE))
            fields_add_id(fields, FIELD_COOKIE, join_cookies(request));
    }
    add_classes(policy, request, fields);
    add_client_address(request, decision, fields);
    via_add(fields, via_version(request), request->arena);
    head_add_ours(fields, request, decision, head_reduce_codings(request));
}
