/*
 * Two requests of strangers under one policy (semantics 1.2, 2.1, 2.7): what the fills of one key
 * carry is the same, whatever else the two requests said; nothing that is held back goes out; a
 * POST whose answer may become a page asks as a GET of the same client would; a key's text takes
 * itself apart again; and what they cost in memory grows with their length alone.
 *
 *   input = policy (1 byte) union, as names with spaces, newline, two requests, each "METHOD
 *           TARGET", newline, lines "name: value", empty line
 */
#include "policy/head.h"
#include "policy/identity.h"
#include "policy/key_text.h"
#include "policy/load.h"
#include "policy/normalise.h"
#include "policy/representation.h"
#include "policy/response.h"
#include "policy/rules.h"
#include "policy/seal.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>

static const char *const texts[] = {
    "renderer: http://127.0.0.1:1\nroutes: [{match: /**, ttl: 1m}]\n"
    "vary: {accept-language: {choose: [en, de], default: en}, cookie: {keep: [ab, \"c*\"]},\n"
    "  user-agent: {map: [mobile, desktop], as: X-Device}}\n",
    "renderer: http://127.0.0.1:1\n"
    "routes: [{match: /p/:id, tags: [\"p-:id\"], query: {keep: [q]}}, {match: /**, post: rfc}]\n"
    "vary: {accept-language: {sort: true, always: true}, x-plan: {always: false}}\n"
    "identity: {logged_in: {cookies: [sid], headers: [X-User]}}\n",
    "renderer: http://127.0.0.1:1\nseal: strict\n"
    "routes: [{match: /in/**, when_logged_in: cache}, {match: /**, cookies: ignore}]\n"
    "vary: {x-plan: {map: {gold: {match: \"^g\", send: gold}, none: {send: none}}}}\n",
    "origins: {a: {workers: [http://127.0.0.1:1], target: \"/r?url={url}\",\n"
    "  set_headers: {x-class: \"{class}\", x-host: \"{host}\", x-build: \"{build}\"}}}\n"
    "classes: [{name: bots, user_agent: [bot]}, {name: people}]\nseal: off\n"
    "routes: [{match: /**, origin: a, post: rfc, query: {drop: [\"utm_*\"], sort: true}}]\n",
};
enum { POLICIES = sizeof(texts) / sizeof(texts[0]), FIELDS_MAX = 40 };
static struct policy *policies[POLICIES];

static void free_policies(void)
{
    for (size_t i = 0; i < POLICIES; i++)
        policy_free(policies[i]);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct arena arena;
    (void)argc, (void)argv;
    arena_init(&arena);
    for (size_t i = 0; i < POLICIES; i++) {
        struct diag diag;
        diag_init(&diag, &arena);
        policies[i] = policy_load_text(slice_of_string(texts[i]), SLICE("policy"), &diag);
        MUST(policies[i] && "the policy loads");
    }
    arena_fini(&arena);
    atexit(free_policies);
    return 0;
}

struct filled {
    struct request request;
    struct decision decision;
    struct forward forward, pass;
};

static void take_request(slice *input, struct arena *arena, struct request *request)
{
    slice line = take_line(input), method;
    *request = (struct request){.arena = arena,
                                .scheme = SLICE("https"),
                                .host = SLICE("shop.example"),
                                .host_raw = SLICE("shop.example"),
                                .id = SLICE("id-1"),
                                .http_major = 1,
                                .http_minor = 1};
    MUST(ip_parse(SLICE("192.0.2.7"), &request->peer));
    request->client = request->peer;
    slice rest = line;
    if (!slice_next(&rest, ' ', &method))
        method = SLICE("GET");
    request->method_text = method;
    request->method = method_of(method);
    request->target = slice_starts_with(rest, SLICE("/")) ? rest : SLICE("/");
    size_t mark = slice_find(request->target, '?', 0);
    request->path = slice_until(request->target, mark);
    request->has_query = mark < request->target.len;
    request->query = slice_from(request->target, mark + 1);
    fields_init(&request->fields, arena);
    while ((line = take_line(input)).len && request->fields.count < FIELDS_MAX) {
        size_t colon = slice_find(line, ':', 0);
        fields_add(&request->fields, arena_copy_lower(arena, slice_until(line, colon)),
                   slice_trim(slice_from(line, colon + 1)));
    }
}

static void check_decision(const struct decision *d, const struct request *request)
{
    MUST(d->route && d->origin);
    MUST((d->action == ACTION_REJECT) == (d->status >= 400 && d->detail.len > 0));
    if (d->action != ACTION_LOOKUP)
        return;
    MUST(request->method == METHOD_GET || request->method == METHOD_HEAD);
    MUST(d->route->is_cacheable && !d->is_logged_in && d->reason == REASON_NONE);
}

/* To the byte where the fill is sealed, else but for white space about commas. */
static bool is_value_of(const struct filled *f, const struct field *field, slice keyed)
{
    struct arena *arena = f->request.arena;
    return slice_equal(field->value, keyed) ||
           (!f->decision.is_sealed && slice_equal(vary_canonical(field->name, field->value, arena),
                                                  vary_canonical(field->name, keyed, arena)));
}

/* Takes the whole text apart; what it says of fields is what the head carries. */
static void check_key_text(const struct filled *f)
{
    slice rest = f->forward.key_text, bytes, name = SLICE_NONE;
    enum key_tag tag;
    MUST(slice_starts_with(rest, f->decision.url_text));
    while (key_text_next(&rest, &tag, &bytes)) {
        if (tag == KEY_FIELD)
            name = bytes;
        const struct field *field =
            fields_find(&f->forward.fields, tag == KEY_VALUE ? name : bytes);
        if (tag == KEY_VALUE)
            MUST(field && is_value_of(f, field, bytes));
        if (tag == KEY_ABSENT)
            MUST(!field);
    }
    MUST(rest.len == 0);
}

/* What varve says itself is sent whatever the client's Connection names. */
static bool is_said_by_varve(const struct policy *policy, const struct filled *f,
                             const struct field *field)
{
    return head_is_ours(field->id) || head_is_replaced(policy, &f->decision, field->name) ||
           (field->id == FIELD_USER_AGENT && slice_equal(field->value, SLICE("varve"))) ||
           (field->id == FIELD_VIA && slice_equal(field->value, SLICE("1.1 varve")));
}

static void check_held_back(const struct policy *policy, const struct filled *f)
{
    const struct fields *sent = &f->forward.fields;
    for (size_t i = 0; i < sent->count; i++) {
        MUST(!identity_is_header(policy, sent->at[i].name));
        MUST(is_said_by_varve(policy, f, &sent->at[i]) ||
             !seal_is_hop_by_hop(&f->request.fields, &sent->at[i]));
        MUST(!seal_is_conditional(sent->at[i].id));
    }
    slice cookies = fields_value(sent, FIELD_COOKIE), cookie;
    while (f->decision.is_sealed && cookies.len && slice_next(&cookies, ';', &cookie)) {
        slice text = slice_trim(cookie);
        slice name = slice_trim(slice_until(text, slice_find(text, '=', 0)));
        MUST(cookie_kind_of(policy, f->decision.route, name) == COOKIE_KEPT);
    }
}

static bool is_keyed(const struct field *field)
{
    return field->id != FIELD_ACCEPT_ENCODING && field->id != FIELD_X_FORWARDED_FOR &&
           field->id != FIELD_X_REQUEST_ID;
}

static void check_same_head(const struct fields *a, const struct fields *b)
{
    for (size_t i = 0; i < a->count; i++) {
        const struct field *other = fields_find(b, a->at[i].name);
        if (is_keyed(&a->at[i]))
            MUST(other && slice_equal(other->value, a->at[i].value));
    }
}

static void check_variant_text(struct arena *arena, slice key_text)
{
    slice text = forward_variant_text(key_text, arena);
    for (size_t i = 0; i < text.len; i++)
        MUST(text.ptr[i] >= ' ' && text.ptr[i] < 0x7f);
    forward_variant_text(slice_from(key_text, key_text.len / 3), arena);
}

static bool take_union(slice line, struct arena *arena, struct field_names *names)
{
    slice name;
    while (slice_next(&line, ' ', &name))
        if (name.len && !field_names_add(names, arena_copy_lower(arena, name)))
            return false;
    return true;
}

/* --- post: rfc --- */

static bool is_of_content(slice name)
{
    return slice_starts_with(name, SLICE("content-")) || slice_equal(name, SLICE("expect"));
}

static void check_sent_by(const struct fields *one, const struct fields *other)
{
    for (size_t i = 0; i < one->count; i++) {
        const struct field *field = &one->at[i];
        bool is_sent = is_of_content(field->name) || !is_keyed(field);
        for (size_t j = 0; j < other->count && !is_sent; j++)
            is_sent = slice_equal(other->at[j].name, field->name) &&
                      slice_equal(other->at[j].value, field->value);
        MUST(is_sent);
    }
}

/* A client that posts what is in a page must not choose what others find there. */
static void check_post(const struct policy *policy, const struct field_names *names,
                       struct filled *post)
{
    static struct filled get;
    struct response answer = {.status = 200};
    fields_init(&answer.fields, post->request.arena);
    fields_add_id(&answer.fields, FIELD_CONTENT_LOCATION, SLICE(""));
    forward_fill(policy, &post->request, &post->decision, names, false, &post->forward);
    if (!rules_post_is_page(&post->request, &post->pass, &post->forward, &answer))
        return;
    get.request = post->request;
    get.request.method = METHOD_GET;
    get.request.method_text = SLICE("GET");
    rules_receive(policy, &get.request, SLICE("b42"), &get.decision);
    MUST(get.decision.action == ACTION_LOOKUP);
    forward_fill(policy, &get.request, &get.decision, names, false, &get.forward);
    MUST(slice_equal(get.forward.key_text, post->forward.key_text));
    MUST(slice_equal(get.forward.target, post->pass.target));
    check_sent_by(&get.forward.fields, &post->pass.fields);
    check_sent_by(&post->pass.fields, &get.forward.fields);
}

/* --- both --- */

static bool fill(const struct policy *policy, const struct field_names *names, struct filled *f)
{
    rules_receive(policy, &f->request, SLICE("b42"), &f->decision);
    check_decision(&f->decision, &f->request);
    forward_pass(policy, &f->request, &f->decision, &f->pass);
    if (f->decision.may_store_post)
        check_post(policy, names, f);
    if (f->decision.action != ACTION_LOOKUP)
        return false;
    forward_fill(policy, &f->request, &f->decision, names, true, &f->forward);
    if (f->forward.is_unkeyable)
        return false;
    check_key_text(f);
    check_held_back(policy, f);
    check_variant_text(f->request.arena, f->forward.key_text);
    return true;
}

/* Not with the square of it: memory is held for as long as a request waits. */
static void check_cost(const struct arena *arena, size_t size)
{
    enum { BASE_BYTES = 64 * 1024, BYTES_PER_BYTE = 100 };
    MUST(arena->used_bytes <= BASE_BYTES + BYTES_PER_BYTE * size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 8192 ? size : 8192);
    const struct policy *policy = policies[take_byte(&input) % POLICIES];
    struct arena arena;
    struct field_names names = {.count = 0};
    static struct filled a, b;
    arena_init(&arena);
    if (take_union(take_line(&input), &arena, &names)) {
        take_request(&input, &arena, &a.request);
        take_request(&input, &arena, &b.request);
        if (fill(policy, &names, &a) && fill(policy, &names, &b) &&
            slice_equal(a.forward.key_text, b.forward.key_text) && a.decision.is_sealed) {
            MUST(slice_equal(a.forward.target, b.forward.target));
            check_same_head(&a.forward.fields, &b.forward.fields);
            check_same_head(&b.forward.fields, &a.forward.fields);
        }
        check_cost(&arena, size);
    }
    arena_fini(&arena);
    return 0;
}
