/*
 * Fills: the head comes from head.c, and the key is read off that head: a value that is keyed is by
 * construction the value that is sent, in one spelling (semantics 1.2). What a sealed head holds
 * beyond the key is constant, the scheme or the host, which the key has too, and the request id.
 */
#include "policy/head.h"
#include "policy/key_text.h"
#include "policy/normalise.h"
#include "policy/representation.h"
#include "policy/template.h"

#include <stdlib.h>

static struct head head_of(const struct policy *policy, const struct request *request,
                           const struct decision *decision, const struct field_names *names)
{
    struct head head = {.policy = policy,
                        .request = request,
                        .decision = decision,
                        .names = names,
                        .is_open = policy->seal == SEAL_OFF && !decision->is_sealed};
    cookies_parse(policy, decision->route, request, &head.cookies);
    head.kept_cookies = cookies_kept_text(&head.cookies, request->arena);
    return head;
}

/* Accept-Encoding is in no key and no union: there is one object with a body per coding
 * (semantics 4.7). */
static bool is_keyable_name(slice name)
{
    return field_id_of(name) != FIELD_ACCEPT_ENCODING;
}

static slice sent_name(const struct policy *policy, slice name)
{
    const struct vary_config *vary = vary_find_either(policy, name);
    return vary ? vary_sent_name(vary) : name;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare(*(const slice *)a, *(const slice *)b);
}

/* The names that this key tells of, as the renderer sees them; sorted, may hold duplicates. */
static slice *keyed_names(const struct head *head, size_t *count)
{
    const struct policy *policy = head->policy;
    size_t most = head->names->count + policy->vary_count + head->fields.count, n = 0;
    slice *names = arena_array(head->request->arena, slice, most + 1);
    for (size_t i = 0; i < head->names->count; i++)
        if (is_keyable_name(head->names->at[i]))
            names[n++] = sent_name(policy, head->names->at[i]);
    for (size_t i = 0; i < policy->vary_count; i++)
        if (policy->vary[i].kind != VARY_COOKIES &&
            vary_is_always(&policy->vary[i], head->decision->is_sealed))
            names[n++] = vary_sent_name(&policy->vary[i]);
    for (size_t i = 0; i < head->fields.count && !head->is_open; i++) {
        slice name = head->fields.at[i].name;
        const struct vary_config *vary = vary_find_either(policy, name);
        if (representation_is_field(vary ? vary->field : name))
            names[n++] = name;
    }
    qsort(names, n, sizeof(*names), compare_names);
    *count = n;
    return names;
}

/* Semantics 1.4 and 2.2. Kept cookies have a limit of their own, each. */
static bool is_too_long(const struct head *head, slice name, slice value)
{
    if (!head->is_open && slice_equal(name, SLICE("cookie")))
        return false;
    bool is_representation = !head->is_open && representation_is_field(name);
    return value.len > (is_representation ? (size_t)REPRESENTATION_VALUE_MAX : VARY_VALUE_MAX);
}

/*
 * With `seal: off`, what differs in white space about commas only is one variant: as far as anybody
 * can know it means the same (RFC 9111 §4.1). Under a seal nobody relies on that: what is in the
 * key is what is sent.
 */
static slice keyed_value(const struct head *head, const struct field *field)
{
    bool is_exact = !head->is_open || vary_find_either(head->policy, field->name);
    return is_exact ? field->value
                    : vary_canonical(field->name, field->value, head->request->arena);
}

static bool key_fields(const struct head *head, struct text *key)
{
    size_t count;
    slice *names = keyed_names(head, &count);
    for (size_t i = 0; i < count; i++) {
        if (i && slice_equal(names[i], names[i - 1]))
            continue;
        const struct field *field = fields_find(&head->fields, names[i]);
        if (field && is_too_long(head, names[i], field->value))
            return false;
        key_text_add(key, field ? KEY_FIELD : KEY_ABSENT, names[i]);
        if (field)
            key_text_add(key, KEY_VALUE, keyed_value(head, field));
    }
    return true;
}

/* None is sent where the client's Connection names Cookie, which makes it a field of that hop. */
static bool key_cookies(const struct head *head, struct text *key)
{
    if (!fields_find_id(&head->fields, FIELD_COOKIE))
        return true;
    for (size_t i = 0; i < head->cookies.count; i++)
        if (head->cookies.at[i].kind == COOKIE_KEPT &&
            head->cookies.at[i].text.len > VARY_VALUE_MAX)
            return false;
    if (head->kept_cookies.len)
        key_text_add(key, KEY_COOKIES, head->kept_cookies);
    return true;
}

static void key_placeholders(const struct decision *decision, struct text *key)
{
    const struct origin_config *origin = decision->origin;
    bool uses_class = false, uses_build = false;
    for (size_t i = 0; i < origin->set_header_count; i++) {
        uses_class |= origin->set_headers[i].uses_class;
        uses_build |= origin->set_headers[i].uses_build;
    }
    if (uses_class && decision->class_config)
        key_text_add(key, KEY_CLASS, decision->class_config->name);
    if (uses_build)
        key_text_add(key, KEY_BUILD, decision->build ? *decision->build : SLICE_NONE);
}

/* False: something in it is longer than a key may hold. */
static bool write_key(const struct head *head, slice *text)
{
    struct text key = {.arena = head->request->arena};
    text_add(&key, head->decision->url_text);
    if (head->is_open) /* what anybody's fields may have made is nobody's page once a seal is set */
        key_text_add(&key, KEY_OPEN, SLICE_NONE);
    if (!key_cookies(head, &key))
        return false;
    key_placeholders(head->decision, &key);
    if (!key_fields(head, &key))
        return false;
    *text = text_view(&key);
    return true;
}

void forward_fill(const struct policy *policy, const struct request *request,
                  const struct decision *decision, const struct field_names *names,
                  bool wants_identity, struct forward *forward)
{
    struct head head = head_of(policy, request, decision, names);
    head.wants_identity = wants_identity;
    head_build(&head);
    *forward = (struct forward){.method = SLICE("GET"), .fields = head.fields};
    forward->target = template_target(request, decision, decision->query, decision->has_query);
    forward->is_unkeyable = head.cookies.overflows || !write_key(&head, &forward->key_text);
    forward->held_cookies = head_held_cookies(&head);
}

static bool is_same_head(const struct fields *a, const struct fields *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!slice_equal(a->at[i].name, b->at[i].name) ||
            !slice_equal(a->at[i].value, b->at[i].value))
            return false;
    return true;
}

bool forward_holds_back(const struct policy *policy, const struct request *request,
                        const struct decision *decision, const struct field_names *names,
                        slice name)
{
    struct arena scratch; /* two whole heads for one bit, for each name of a Vary */
    struct request aside = *request;
    arena_init(&scratch);
    aside.arena = &scratch;
    struct head without = head_of(policy, &aside, decision, names), with = without;
    with.one_more = name;
    head_build(&without);
    head_build(&with);
    bool holds_back = !is_same_head(&without.fields, &with.fields);
    arena_fini(&scratch);
    return holds_back;
}

bool forward_learns(const struct policy *policy, const struct request *request,
                    const struct decision *decision, const struct field_names *names, slice name)
{
    struct head head = head_of(policy, request, decision, names);
    const struct vary_config *vary = vary_find_either(policy, name);
    slice field = vary ? vary->field : name;
    if (!decision->is_sealed || head_is_named(&head, name) || !head_may_carry(&head, field) ||
        slice_equal(field, SLICE("cookie")))
        return false;
    return vary ? !vary_is_always(vary, true) : !representation_is_field(field);
}
