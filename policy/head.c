/*
 * Two ways to one head. Sealed: a fixed set of names, sorted, each carried only if the policy or
 * the union says so; everything in it is a function of the key. Not sealed: the client's fields in
 * their order, less what the seal holds back. One function, carry(), decides for both what a
 * field's value is.
 */
#include "policy/head.h"

#include "base/text.h"
#include "policy/normalise.h"
#include "policy/representation.h"
#include "policy/seal.h"
#include "policy/template.h"
#include "policy/via.h"

#include <stdlib.h>

bool head_is_named(const struct head *head, slice name)
{
    return field_names_contain(head->names, name) ||
           (head->one_more.len && slice_equal(head->one_more, name));
}

static bool entry_is_named(const struct head *head, const struct vary_config *vary)
{
    return head_is_named(head, vary->field) || (vary->as.len && head_is_named(head, vary->as));
}

/* `as:` the field itself is no other name. */
static bool has_other_name(const struct vary_config *vary)
{
    return vary->as.len && !slice_equal(vary->as, vary->field);
}

static bool is_set_header(const struct origin_config *origin, slice name)
{
    for (size_t i = 0; i < origin->set_header_count; i++)
        if (slice_equal(origin->set_headers[i].name, name))
            return true;
    return false;
}

bool head_is_replaced(const struct policy *policy, const struct decision *decision, slice name)
{
    if (is_set_header(decision->origin, name))
        return true;
    for (size_t i = 0; i < policy->vary_count; i++)
        if (has_other_name(&policy->vary[i]) && slice_equal(policy->vary[i].as, name))
            return true;
    return false;
}

bool head_is_ours(enum field_id id)
{
    return id == FIELD_ACCEPT_ENCODING || id == FIELD_X_REQUEST_ID || id == FIELD_X_FORWARDED_FOR ||
           id == FIELD_X_FORWARDED_HOST || id == FIELD_X_FORWARDED_PROTO ||
           id == FIELD_X_VARVE_DEBUG;
}

/* Under `seal: strict` a Vary teaches nothing: what the policy does not name is the same for all
 * (semantics 2.2). */
static bool is_held_back(const struct head *head, const struct field *field)
{
    if (head->policy->seal == SEAL_STRICT)
        return field->id != FIELD_COOKIE && !representation_is_field(field->name);
    return !head->is_open && seal_holds_back(field->name);
}

static bool may_carry(const struct head *head, const struct field *field,
                      const struct vary_config *vary)
{
    slice name = field->name;
    if (head_is_ours(field->id) || seal_is_conditional(field->id) ||
        seal_is_hop_by_hop(&head->request->fields, field) || identity_is_header(head->policy, name))
        return false;
    if (vary && has_other_name(vary)) /* the raw field is not sent: set_headers may name it */
        return !is_set_header(head->decision->origin, vary->as);
    return !head_is_replaced(head->policy, head->decision, name) &&
           (vary || !is_held_back(head, field));
}

bool head_may_carry(const struct head *head, slice name)
{
    const struct field field = {field_id_of(name), name, SLICE_NONE};
    return may_carry(head, &field, vary_find(head->policy, name));
}

/* Not kept ones are carried with `seal: off` only; and then those that identify are not, because a
 * route with when_logged_in: cache reads them as anonymous, nor any where `cookies: ignore` vouches
 * for all. */
static bool is_carried(const struct head *head, const struct cookie *cookie)
{
    if (!head->is_open || head->decision->route->ignore_cookies)
        return cookie->kind == COOKIE_KEPT;
    return cookie->kind != COOKIE_IDENTITY;
}

struct slices head_held_cookies(const struct head *head)
{
    struct slices held = {0};
    if (head->cookies.count == 0)
        return held;
    bool is_any_sent = fields_find_id(&head->fields, FIELD_COOKIE) != NULL;
    held.at = arena_array(head->request->arena, slice, head->cookies.count);
    for (size_t i = 0; i < head->cookies.count; i++)
        if (!is_any_sent || !is_carried(head, &head->cookies.at[i]))
            held.at[held.count++] = head->cookies.at[i].name;
    return held;
}

static slice open_cookies(const struct head *head)
{
    struct text text = {.arena = head->request->arena};
    for (size_t i = 0; i < head->cookies.count; i++) {
        const struct cookie *cookie = &head->cookies.at[i];
        if (!is_carried(head, cookie))
            continue;
        if (text.len)
            text_add(&text, SLICE("; "));
        text_add(&text, cookie->text);
    }
    return text_view(&text);
}

static bool cookie_value(const struct head *head, slice *value)
{
    *value = head->is_open ? open_cookies(head) : head->kept_cookies;
    return value->len > 0;
}

static bool value_of(const struct head *head, const struct field *field,
                     const struct vary_config *vary, slice *value)
{
    const struct fields *fields = &head->request->fields;
    struct arena *arena = head->request->arena;
    if (field->id == FIELD_COOKIE)
        return cookie_value(head, value);
    if (vary)
        return vary_value(vary, fields, arena, value);
    if (!head->is_open && representation_is_field(field->name))
        return representation_value(fields, field->name, arena, value);
    if (!fields_join(fields, field->name, arena, value))
        return false;
    *value = vary_as_sent(field->name, *value, arena);
    return true;
}

/* Without hashing the name of each of the client's fields anew. */
static bool is_there(const struct fields *fields, const struct field *field)
{
    return field->id != FIELD_OTHER ? fields_find_id(fields, field->id) != NULL
                                    : fields_find(fields, field->name) != NULL;
}

/* Adds the client's field as the renderer gets it, unless it is there or is not carried. */
static void carry(struct head *head, const struct field *field)
{
    const struct vary_config *vary = vary_find(head->policy, field->name);
    struct field sent = *field;
    if (vary && vary->as.len)
        sent = (struct field){field_id_of(vary->as), vary->as, SLICE_NONE};
    if (is_there(&head->fields, &sent) || !may_carry(head, field, vary) ||
        !value_of(head, field, vary, &sent.value))
        return;
    if (sent.id != FIELD_OTHER)
        fields_add_id(&head->fields, sent.id, sent.value);
    else
        fields_add(&head->fields, sent.name, sent.value);
}

static void carry_name(struct head *head, slice name)
{
    carry(head, &(struct field){field_id_of(name), name, SLICE_NONE});
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

static int compare_fields(const void *a, const void *b)
{
    return slice_compare(((const struct field *)a)->name, ((const struct field *)b)->name);
}

static slice client_name(const struct head *head, slice name)
{
    const struct vary_config *vary = vary_find_either(head->policy, name);
    return vary ? vary->field : name;
}

/* Names of the client's fields that a sealed fill carries, sorted; may hold duplicates. */
static slice *sealed_names(const struct head *head, size_t *count)
{
    const struct fields *fields = &head->request->fields;
    size_t most = fields->count + head->policy->vary_count + head->names->count + 2, n = 0;
    slice *names = arena_array(head->request->arena, slice, most);
    names[n++] = SLICE("cookie");
    for (size_t i = 0; i < fields->count; i++)
        if (representation_is_field(fields->at[i].name))
            names[n++] = fields->at[i].name;
    for (size_t i = 0; i < head->policy->vary_count; i++) {
        const struct vary_config *vary = &head->policy->vary[i];
        if (vary->kind != VARY_COOKIES &&
            (vary_is_always(vary, true) || entry_is_named(head, vary)))
            names[n++] = vary->field;
    }
    for (size_t i = 0; i < head->names->count; i++)
        names[n++] = client_name(head, head->names->at[i]);
    if (head->one_more.len)
        names[n++] = client_name(head, head->one_more);
    qsort(names, n, sizeof(*names), compare_names);
    *count = n;
    return names;
}

static void build_sealed(struct head *head)
{
    size_t count;
    slice *names = sealed_names(head, &count);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || !slice_equal(names[i], names[i - 1]))
            carry_name(head, names[i]);
    if (!fields_find_id(&head->fields, FIELD_USER_AGENT))
        fields_add_id(&head->fields, FIELD_USER_AGENT, SLICE("varve"));
    qsort(head->fields.at, head->fields.count, sizeof(*head->fields.at), compare_fields);
}

static void build_unsealed(struct head *head)
{
    const struct fields *fields = &head->request->fields;
    for (size_t i = 0; i < fields->count; i++)
        if (fields_is_first(fields, &fields->at[i]))
            carry(head, &fields->at[i]);
    for (size_t i = 0; i < head->policy->vary_count; i++)
        if (head->policy->vary[i].kind != VARY_COOKIES)
            carry_name(head, head->policy->vary[i].field);
}

void head_build(struct head *head)
{
    const struct request *request = head->request;
    const struct decision *decision = head->decision;
    fields_init(&head->fields, request->arena);
    if (decision->is_sealed)
        build_sealed(head);
    else
        build_unsealed(head);
    /* always the same version: a fill is one request for clients of all versions */
    via_add(&head->fields, SLICE("1.1"), request->arena);
    bool wants_identity = head->wants_identity || decision->is_sealed;
    slice codings = wants_identity ? SLICE("identity") : head_reduce_codings(request);
    head_add_ours(&head->fields, request, decision, codings);
    if (decision->origin->forward_client_address && !decision->is_sealed) {
        slice forwarded_for = head_forwarded_for(request);
        if (forwarded_for.len)
            fields_set_id(&head->fields, FIELD_X_FORWARDED_FOR, forwarded_for);
    }
}
