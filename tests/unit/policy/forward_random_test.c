/*
 * Semantics 1.2 with random policies and requests: on sealed fills equal keys ⇒ byte-equal heads,
 * on others equal in every keyed field. Names and values come from small sets, so that keys often
 * meet.
 */
#include "policy/normalise.h"
#include "policy/representation.h"

#include "tests/unit/policy/request_support.h"

enum { POLICIES = 120, REQUESTS = 60, TEXT_BYTES = 4096 };

static unsigned seed;

static size_t pick(size_t n)
{
    return (size_t)rand_r(&seed) % n;
}

struct text {
    char bytes[TEXT_BYTES];
    size_t len;
};

static void say(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    text->len += (size_t)vsnprintf(text->bytes + text->len, TEXT_BYTES - text->len, format, args);
    va_end(args);
    assert_true(text->len < TEXT_BYTES);
}

static void say_one(struct text *text, const char *const *choices, size_t count)
{
    say(text, "%s", choices[pick(count)]);
}

#define SAY_ONE(text, ...)                                                                         \
    say_one(text, (const char *const[]){__VA_ARGS__},                                              \
            sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *))

static const char *always(void)
{
    static const char *const texts[] = {"", ", always: true", ", always: false"};
    return texts[pick(3)];
}

static void random_vary(struct text *yaml)
{
    if (pick(4) == 0)
        return;
    say(yaml, "vary:\n");
    if (pick(2))
        say(yaml, "  accept-language: {choose: [en, de], default: en%s}\n", always());
    else if (pick(2))
        say(yaml, "  accept-language: {sort: true%s}\n", always());
    if (pick(2))
        say(yaml, "  user-agent: {map: [mobile, desktop]%s%s}\n", pick(2) ? ", as: X-Device" : "",
            always());
    if (pick(2))
        say(yaml, "  x-plan: {map: {gold: {match: \"^g\", send: gold}}%s}\n", always());
    if (pick(2))
        say(yaml, "  cf-ipcountry: {%s}\n", pick(2) ? "always: true" : "always: false");
    if (pick(3) == 0)
        say(yaml, "  accept: {sort: true%s}\n", always());
    say(yaml, "  cookie: {keep: [%s]}\n", pick(2) ? "ab" : "ab, \"c*\"");
}

static void random_identity(struct text *yaml)
{
    SAY_ONE(yaml, "", "", "identity: {logged_in: none}\n",
            "identity: {logged_in: {cookies: [sid]}}\n",
            "identity: {logged_in: {cookies: none, headers: [X-User]}}\n");
}

static void random_policy(struct text *yaml)
{
    yaml->len = 0;
    say(yaml, "origins: {web: {workers: [\"http://127.0.0.1:3000\"]");
    SAY_ONE(yaml, "", ", target: \"/r?u={url}\"");
    SAY_ONE(yaml, "", ", set_headers: {X-Class: \"{class}\"}",
            ", set_headers: {X-Build: \"{build}\", X-H: \"{host}\"}", ", set_headers: {X-A: s}");
    SAY_ONE(yaml, "", "", ", forward_client_address: true");
    say(yaml, "}}\n");
    SAY_ONE(yaml, "", "seal: strict\n", "seal: off\n", "");
    say(yaml, "classes: [{name: bots, user_agent: [bot]}, {name: people}]\n");
    random_identity(yaml);
    random_vary(yaml);
    say(yaml, "routes:\n  - {match: \"/s/**\", ttl: 1m");
    SAY_ONE(yaml, "", ", when_logged_in: cache");
    SAY_ONE(yaml, "", ", query: {sort: true, drop: [x]}", ", query: {keep: [a]}");
    SAY_ONE(yaml, "", "", ", cookies: ignore");
    say(yaml, "}\n  - {match: \"/**\"");
    SAY_ONE(yaml, "", ", when_logged_in: cache");
    say(yaml, "}\n");
}

static void random_lines(struct text *text)
{
    static const char *const lines[] = {"Accept: text/html",
                                        "Accept: text/html,*/*",
                                        "Accept: */*",
                                        "Accept: a/b,c/d",
                                        "Accept-Language: de",
                                        "Accept-Language: de-CH, en;q=0.1",
                                        "Accept-Language: en",
                                        "Accept-Language:",
                                        "User-Agent: bot",
                                        "User-Agent: iPhone Mobi",
                                        "User-Agent: varve",
                                        "X-Device: mobile",
                                        "X-Device: tv",
                                        "X-Plan: g1",
                                        "X-Plan: g2",
                                        "X-Plan: tin",
                                        "CF-IPCountry: DE",
                                        "CF-IPCountry: FR",
                                        "Cookie: ab=1",
                                        "Cookie: ab=2; c1=x",
                                        "Cookie: c1=x; ab=2",
                                        "Cookie: _ga=1",
                                        "Cookie: sid=7",
                                        "Cookie: c2=1",
                                        "RSC: 1",
                                        "RSC:",
                                        "HX-Request: true",
                                        "X-Requested-With: XMLHttpRequest",
                                        "X-Requested-With: app",
                                        "X-Inertia-Partial-Data: p",
                                        "X-A: 1",
                                        "X-A: 2",
                                        "X-A: 1,2",
                                        "X-A: 1, 2",
                                        "X-B:",
                                        "X-B: 1",
                                        "X-Forwarded-Host: evil",
                                        "X-Forwarded-Prefix: /x",
                                        "Forwarded: for=1",
                                        "X-Real-IP: 1",
                                        "Referer: r",
                                        "Origin: o",
                                        "Authorization: Basic x",
                                        "X-User: 1",
                                        "Connection: RSC, X-A",
                                        "Connection: Cookie",
                                        "Connection: User-Agent, X-Device, Accept, Accept-Language",
                                        "Connection: close",
                                        "Range: bytes=0-1",
                                        "If-None-Match: x",
                                        "traceparent: t",
                                        "x_u: 1",
                                        "X-HTTP-Method-Override: PUT",
                                        "X-Middleware-Subrequest: 1",
                                        "X-Request-Id: mine",
                                        "Accept-Encoding: gzip",
                                        "Accept-Encoding: br",
                                        "Via: 1.0 cdn",
                                        "Via: 1.1 varve",
                                        "X-Class: fake",
                                        "X-Build: fake"};
    for (size_t n = pick(5); n; n--)
        say(text, "\n%s", lines[pick(sizeof(lines) / sizeof(lines[0]))]);
}

static void random_request(struct text *text)
{
    text->len = 0;
    SAY_ONE(text, "GET ", "GET ", "HEAD ");
    SAY_ONE(text, "http://h", "http://h", "https://h", "http://i");
    SAY_ONE(text, "/s/a", "/s/a", "/s/b", "/a");
    SAY_ONE(text, "", "", "?a=1&x=2", "?x=2&a=1", "?");
    random_lines(text);
}

static void random_union(struct setup *s)
{
    static const char *const names[] = {"accept-language",
                                        "user-agent",
                                        "x-device",
                                        "x-a",
                                        "x-b",
                                        "cookie",
                                        "rsc",
                                        "x-plan",
                                        "accept-encoding",
                                        "cf-ipcountry",
                                        "accept",
                                        "referer",
                                        "host",
                                        "x-forwarded-host",
                                        "authorization",
                                        "x-class",
                                        "via",
                                        "x-real-ip"};
    s->names = (struct field_names){.count = 0};
    for (size_t n = pick(2) ? pick(6) : 0; n; n--) {
        slice name = slice_of_string(names[pick(sizeof(names) / sizeof(names[0]))]);
        assert_true(field_names_add(&s->names, name));
    }
}

struct made {
    slice text, key, head;
    struct forward forward;
    bool is_sealed;
};

/* Every byte of a head, in order, but for the request id (semantics 1.2). */
static slice whole_head(struct arena *arena, const struct forward *forward)
{
    slice head = arena_concat(arena, (slice[]){forward->method, SLICE(" "), forward->target}, 3);
    for (size_t i = 0; i < forward->fields.count; i++) {
        const struct field *f = &forward->fields.at[i];
        if (f->id != FIELD_X_REQUEST_ID)
            head = arena_concat(arena, (slice[]){head, SLICE("\n"), f->name, SLICE(": "), f->value},
                                5);
    }
    return head;
}

static bool make(struct setup *s, struct made *made)
{
    struct text text;
    random_request(&text);
    receive(s, text.bytes);
    s->request.id = arena_printf(&s->arena, "id-%zu", pick(1000));
    s->request.http_major = 1 + (unsigned)pick(2);
    s->request.peer.bytes[15] = s->request.client.bytes[15] = (uint8_t)pick(256);
    if (s->decision.action != ACTION_LOOKUP)
        return false;
    forward_fill(s->policy, &s->request, &s->decision, &s->names, pick(2), &made->forward);
    made->text = arena_copy(&s->arena, slice_of_string(text.bytes));
    made->key = made->forward.key_text;
    made->head = whole_head(&s->arena, &made->forward);
    made->is_sealed = s->decision.is_sealed;
    return !made->forward.is_unkeyable;
}

/* White space about commas means nothing. */
static bool same_field(const struct made *a, const struct made *b, slice name)
{
    struct arena *arena = a->forward.fields.arena;
    const struct field *x = fields_find(&a->forward.fields, name);
    const struct field *y = fields_find(&b->forward.fields, name);
    return (!x && !y) || (x && y &&
                          slice_equal(vary_canonical(name, x->value, arena),
                                      vary_canonical(name, y->value, arena)));
}

/* Semantics 1.1: the union, always fields and, unless `seal: off`, kept cookies and the fields
 * of 1.4. */
static void check_keyed_fields(const struct setup *s, const struct made *a, const struct made *b)
{
    for (size_t i = 0; i < s->names.count; i++) {
        const struct vary_config *vary = vary_find_either(s->policy, s->names.at[i]);
        slice name = vary ? vary_sent_name(vary) : s->names.at[i];
        if (!slice_equal(name, SLICE("accept-encoding")))
            assert_true(same_field(a, b, name));
    }
    for (size_t i = 0; i < s->policy->vary_count; i++)
        if (s->policy->vary[i].always == VARY_ALWAYS)
            assert_true(same_field(a, b, vary_sent_name(&s->policy->vary[i])));
    if (s->policy->seal != SEAL_OFF)
        assert_true(same_field(a, b, SLICE("cookie")));
    for (size_t i = 0; i < a->forward.fields.count && s->policy->seal != SEAL_OFF; i++)
        if (representation_is_field(a->forward.fields.at[i].name))
            assert_true(same_field(a, b, a->forward.fields.at[i].name));
}

static struct {
    unsigned sealed_equal, sealed_differ, open_equal;
} seen;

static void check_pair(const struct setup *s, const struct made *a, const struct made *b)
{
    bool is_same_key = slice_equal(a->key, b->key), is_same_head = slice_equal(a->head, b->head);
    if (is_same_key && a->is_sealed != b->is_sealed)
        fail_msg("one key, sealed and not");
    if (a->is_sealed && b->is_sealed) {
        seen.sealed_equal += is_same_key;
        seen.sealed_differ += !is_same_key;
        if (is_same_key && !is_same_head)
            fail_msg("one key %s\n%s\n%s\n%s\n%s", a->key.ptr, a->text.ptr, b->text.ptr,
                     a->head.ptr, b->head.ptr);
    } else if (is_same_key) {
        seen.open_equal++;
        check_keyed_fields(s, a, b);
    }
}

static void check_policy(const char *yaml)
{
    static struct made made[REQUESTS];
    struct setup s;
    size_t count = 0;
    setup_init(&s, yaml);
    random_union(&s);
    for (size_t i = 0; i < REQUESTS; i++)
        count += make(&s, &made[count]);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            check_pair(&s, &made[i], &made[j]);
    setup_fini(&s);
}

static void test_1_2_equal_keys_mean_equal_heads(void **state)
{
    struct text yaml;
    (void)state;
    seed = 20260301;
    for (int i = 0; i < POLICIES; i++) {
        random_policy(&yaml);
        check_policy(yaml.bytes);
    }
    assert_true(seen.sealed_equal > 1000 && seen.sealed_differ > 1000 && seen.open_equal > 300);
}

/* security.md: none of a list of names that nobody declared changes what a sealed renderer sees. */
static void test_2_1_an_unknown_field_changes_neither_head_nor_key(void **state)
{
    struct setup s;
    struct text text;
    (void)state;
    seed = 7;
    setup_init(&s, "renderer: http://127.0.0.1:3000\nroutes: [{match: \"/**\", ttl: 1m}]\n");
    fill(&s, "GET http://h/a\nAccept: text/html");
    slice head = whole_head(&s.arena, &s.forward), key = s.forward.key_text;
    for (int i = 0; i < 1000; i++) {
        text.len = 0;
        say(&text, "GET http://h/a\nAccept: text/html\n");
        SAY_ONE(&text, "X-", "", "Forwarded-", "Next-", "X-Forwarded-", "HX-", "Sec-", "X_");
        for (size_t n = 3 + pick(8); n; n--)
            say(&text, "%c", (char)('a' + pick(26)));
        say(&text, ": evil.example");
        fill(&s, text.bytes);
        assert_true(slice_equal(head, whole_head(&s.arena, &s.forward)));
        assert_true(slice_equal(key, s.forward.key_text));
    }
    setup_fini(&s);
}

/* What forward_holds_back() says is what happens when the name enters the union. */
static void test_2_3_held_back_is_what_the_union_would_change(void **state)
{
    static const char *const names[] = {"accept-language", "user-agent", "x-device", "x-a",
                                        "cf-ipcountry",    "x-plan",     "accept",   "cookie",
                                        "x-real-ip",       "x-class"};
    struct text text;
    unsigned held = 0;
    (void)state;
    seed = 99;
    for (int i = 0; i < 60; i++) {
        struct setup s;
        random_policy(&text);
        setup_init(&s, text.bytes);
        for (int n = 0; n < 20; n++) {
            slice name = slice_of_string(names[pick(sizeof(names) / sizeof(names[0]))]);
            random_request(&text);
            s.names.count = 0;
            fill(&s, text.bytes);
            slice before = whole_head(&s.arena, &s.forward);
            bool is_held = forward_holds_back(s.policy, &s.request, &s.decision, &s.names, name);
            bool may_learn = forward_learns(s.policy, &s.request, &s.decision, &s.names, name);
            assert_true(field_names_add(&s.names, name));
            fill(&s, text.bytes);
            assert_int_equal(is_held, !slice_equal(before, whole_head(&s.arena, &s.forward)));
            assert_true(!is_held || (may_learn && s.decision.is_sealed));
            held += is_held;
        }
        setup_fini(&s);
    }
    assert_true(held > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_1_2_equal_keys_mean_equal_heads),
        cmocka_unit_test(test_2_1_an_unknown_field_changes_neither_head_nor_key),
        cmocka_unit_test(test_2_3_held_back_is_what_the_union_would_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
