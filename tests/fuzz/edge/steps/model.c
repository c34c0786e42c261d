#include "tests/fuzz/edge/steps/model.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { RENDERS_MAX = 256, PURGES_MAX = 64 };

static struct render renders[RENDERS_MAX];
static unsigned render_count, failures;
static uint64_t events;
struct purge model_purges[PURGES_MAX];
size_t model_purge_count;

void model_begin(void)
{
    render_count = failures = 0;
    events = 0;
    model_purge_count = 0;
}

unsigned model_last_serial(void)
{
    return render_count;
}

/* --- what happens --- */

void model_visit_began(struct visit *visit)
{
    visit->began = ++events;
    visit->began_ms = world.now.wall.ms;
    visit->failures_before = failures;
}

/* Blanks about commas do not count (RFC 9111 §4.1). */
void normal_form(slice value, char text[SENT_MAX])
{
    size_t length = 0;
    for (size_t i = 0; i < value.len; i++) {
        bool is_blank =
            value.ptr[i] == ' ' && (length == 0 || text[length - 1] == ',' || i + 1 == value.len ||
                                    value.ptr[i + 1] == ',' || value.ptr[i + 1] == ' ');
        MUST(length < SENT_MAX - 1);
        if (!is_blank)
            text[length++] = value.ptr[i];
    }
    text[length] = 0;
}

static bool has_field(const struct call_request *request, slice name)
{
    return fields_find(&request->forward->fields, name) ||
           (request->more_fields && fields_find(request->more_fields, name));
}

/* 304 and 206 are for those who asked for them. */
static unsigned status_of(const struct render *render)
{
    unsigned status = render->plan.status;
    bool asks_back = status == 304 && !render->has_validators && !render->plan.answers_304_unasked;
    return asks_back || (status == 206 && !render->has_range) ? 200 : status;
}

static void note_sent(struct render *render, const struct call_request *request)
{
    for (size_t i = 0; i < SENT_NAMES; i++) {
        const struct field *field =
            fields_find(&request->forward->fields, slice_of_string(vary_names[i]));
        render->was_sent[i] = field != NULL;
        if (field)
            normal_form(field->value, render->sent[i]);
    }
}

static bool is_safe(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
           strcmp(method, "OPTIONS") == 0;
}

/* RFC 9111 §5.2.1.7: 504 rather than this; a refresh behind what is given is nobody's answer. What
 * always passes is looked up nowhere. */
static void check_may_ask(const struct visit *visit)
{
    struct chain *chain = NULL;
    const char *wish = visit_value(visit, "cache-control"), *accept = visit_value(visit, "accept");
    bool is_looked_up = (strcmp(visit->method, "GET") == 0 || strcmp(visit->method, "HEAD") == 0) &&
                        !(accept && strcmp(accept, "text/event-stream") == 0) &&
                        !visit_is_logged_in(&world.rules, visit);
    FORBID(world.rules.honours_client && is_looked_up && !visit->has_head && wish &&
               strcmp(wish, "only-if-cached") == 0,
           "9111 §5.2.1.7 only-if-cached, and the origin is asked");
}

struct render *model_asked(struct visit *visit, const struct call_request *request)
{
    MUST(render_count < RENDERS_MAX);
    struct render *render = &renders[render_count++];
    *render = (struct render){.serial = render_count,
                              .visit = visit,
                              .plan = visit->plan,
                              .rules = world.rules,
                              .is_head = slice_equal(request->forward->method, SLICE("HEAD")),
                              .is_get = slice_equal(request->forward->method, SLICE("GET"))};
    render->has_validators = has_field(request, SLICE("if-none-match")) ||
                             has_field(request, SLICE("if-modified-since"));
    render->has_range = has_field(request, SLICE("range"));
    render->status = status_of(render);
    bool has_body = render->status != 204 && render->status != 304 && !render->is_head;
    render->body_bytes = has_body ? render->plan.body_bytes : 0;
    note_sent(render, request);
    return render;
}

void model_sent(struct render *render)
{
    check_may_ask(render->visit);
    render->asked_event = ++events;
    render->sent_ms = world.now.wall.ms;
    render->is_behind = render->visit->has_head;
}

/* RFC 9111 §4.4; softly at most once in 10 s, and then once more at their end (semantics 6.1). */
static void note_invalidation(const struct render *render)
{
    bool is_soft = world.rules.invalidate == SOFT;
    struct purge purge = {.kind = PURGE_URL,
                          .is_soft = is_soft,
                          .target = render->visit->target,
                          .at_ms = world.now.wall.ms,
                          .by = render};
    for (size_t i = 0; i < model_purge_count && is_soft; i++)
        if (model_purges[i].by && world.now.wall.ms - model_purges[i].at_ms <= 10000)
            return;
    model_purged(&purge);
}

void model_answered(struct render *render)
{
    render->answered_event = ++events;
    render->answered_ms = world.now.wall.ms;
    if (render->status >= 500 || (render->status == 304 && !render->has_validators))
        failures++;
    if (!is_safe(render->visit->method) && render->status < 400 && world.rules.invalidate != NEVER)
        note_invalidation(render);
}

void model_ended(struct render *render, bool is_clean)
{
    render->ended_event = ++events;
    render->is_clean = is_clean;
}

void model_failed(struct render *render)
{
    failures++;
    model_ended(render, false);
}

void model_purged(const struct purge *purge)
{
    MUST(model_purge_count < PURGES_MAX);
    model_purges[model_purge_count] = *purge;
    model_purges[model_purge_count++].event = ++events;
}

unsigned model_failures(void)
{
    return failures;
}

bool model_was_validated(const struct render *render)
{
    for (unsigned i = render->serial; i < render_count; i++)
        if (renders[i].status == 304)
            return true;
    return false;
}

/* What the origin calls gzip is none. */
bool model_is_rejected(const struct render *render)
{
    char first = plan_body_byte(render->serial, 0);
    return render->rules.rejects_bodies && render->body_bytes > 0 &&
           (render->plan.is_coded || (first >= '3' && first <= '5'));
}

/* --- what clients get --- */

static void sort_in(struct chain *chain, const struct render *render)
{
    size_t at = chain->count++;
    for (; at > 0 && chain->at[at - 1]->serial > render->serial; at--)
        chain->at[at] = chain->at[at - 1];
    chain->at[at] = render;
}

static unsigned number_in(slice text)
{
    uint64_t number;
    return slice_to_u64(text, &number) && number >= 1 && number <= render_count ? (unsigned)number
                                                                                : 0;
}

/* Of the serials in its head; of a 304 to a client, of its ETag. */
static struct chain chain_of(const struct fields *fields)
{
    struct chain chain = {.count = 0};
    for (size_t i = 0; i < fields->count; i++) {
        slice name = fields->at[i].name;
        unsigned serial =
            slice_starts_with(name, SLICE("x-h")) ? number_in(slice_from(name, 3)) : 0;
        if (serial && chain.count < CHAIN_MAX)
            sort_in(&chain, &renders[serial - 1]);
    }
    slice etag = fields_value(fields, FIELD_ETAG);
    size_t quote = slice_find(etag, '"', 0);
    unsigned serial = etag.len > quote + 3 && etag.ptr[quote + 1] == 'e'
                          ? number_in(slice_of(etag.ptr + quote + 2, etag.len - quote - 3))
                          : 0;
    if (chain.count == 0 && serial)
        sort_in(&chain, &renders[serial - 1]);
    return chain;
}

/* varve's own answers are errors, and nobody may keep them (semantics 10.1). */
static void check_own(const struct visit *visit, const struct chain *chain,
                      const struct sink_head *head)
{
    slice control = fields_value(head->fields, FIELD_CACHE_CONTROL);
    if (head->status == 304)
        return;
    FORBID(head->status < 400, "10.1 an answer of varve's own that is no error");
    FORBID(head->status != 416 && !slice_equal(control, SLICE("no-store")),
           "10.1 an error that may be kept");
}

/* Its body: none, all of that of its render, or a part of it. */
static void expect_body(struct visit *visit, const struct chain *chain,
                        const struct sink_head *head)
{
    const struct render *body = chain->at[0];
    bool has_none =
        strcmp(visit->method, "HEAD") == 0 || head->status == 304 || head->status == 204;
    visit->serial = body->serial;
    visit->from = 0;
    visit->until = has_none ? 0 : body->body_bytes;
    if (head->status == 206 && body->status == 200 && !has_none)
        parts_expect(visit, chain, head);
    else
        FORBID(head->status != 304 && head->status != body->status && head->status != 206,
               "9111 §4 the status of another answer");
    FORBID(head->length != SIZE_MAX && !has_none && head->length != visit->until - visit->from,
           "9110 §8.6 a wrong Content-Length");
}

static bool is_own(const struct visit *visit, const struct chain *chain)
{
    return chain->count == 1 && chain->at[0]->visit == visit;
}

static void check_304(const struct visit *visit, const struct chain *chain,
                      const struct sink_head *head)
{
    bool has_condition =
        visit_value(visit, "if-none-match") || visit_value(visit, "if-modified-since");
    bool is_origins = is_own(visit, chain) && chain->at[0]->status == 304;
    FORBID(head->status == 304 && !has_condition && !is_origins,
           "9110 §15.4.5 a 304 that nobody asked for");
}

/* From a render of one's own: of others' nobody may learn before it is known to be for all. */
void model_interim_given(const struct visit *visit, unsigned status, const struct fields *fields)
{
    struct chain *chain = NULL;
    const struct field *field = fields_find(fields, SLICE("x-interim"));
    FORBID(status != 103 || !field, "9110 §15.2 an interim response of nobody's");
    FORBID(number_in(field->value) == 0 || renders[number_in(field->value) - 1].visit != visit,
           "8297 §2 hints of another request");
}

void model_head_given(struct visit *visit, const struct sink_head *head)
{
    struct chain made_of = chain_of(head->fields), *chain = &made_of;
    FORBID(visit->has_head, "two answers to one request");
    visit->has_head = true;
    visit->status = head->status;
    visit->until = SIZE_MAX;
    check_304(visit, chain, head);
    if (chain->count == 0) {
        check_own(visit, chain, head);
        return;
    }
    expect_body(visit, chain, head);
    if (!is_own(visit, chain))
        reuse_check(visit, chain, head);
}

void model_bytes_given(struct visit *visit, slice bytes)
{
    struct chain *chain = NULL;
    FORBID(visit->got + bytes.len > visit->until - visit->from, "more body than there is");
    if (visit->parts)
        parts_take(visit, bytes);
    for (size_t i = 0; visit->serial && !visit->parts && i < bytes.len; i++) {
        size_t at = visit->from + visit->got + i;
        FORBID(bytes.ptr[i] != plan_body_byte(visit->serial, at), "bytes of another body");
    }
    visit->got += bytes.len;
}

void model_end_given(struct visit *visit, bool is_whole)
{
    struct chain *chain = NULL;
    if (!visit->serial)
        return;
    const struct render *render = &renders[visit->serial - 1];
    parts_end(visit, render, is_whole);
    if (!is_whole)
        return;
    FORBID(visit->got != visit->until - visit->from && visit->until,
           "9112 §8 a body that is cut looks whole");
    FORBID(render->body_bytes && visit->until && !render->ended_event,
           "a body that has not come to its end looks whole");
}

void model_visit_is_over(const struct visit *visit)
{
    struct chain *chain = NULL;
    FORBID(!visit->has_head && !visit->has_left, "a request without an answer");
    FORBID(visit->logged != 1, "not one log line for one request");
}

/* --- telling --- */

static void print_visit(const char *what, const struct visit *visit)
{
    const struct target *target = visit->target;
    fprintf(stderr, "%s v%u: %s %s://%s%s?%s at %lld\n", what, visit->number, visit->method,
            target->scheme, target->host, target->path, target->query ? target->query : "(none)",
            (long long)visit->began_ms);
    for (size_t i = 0; i < visit->field_count; i++)
        fprintf(stderr, "    %s: %s\n", visit->fields[i].name, visit->fields[i].value);
}

static void print_rules(const char *before, const struct rules *r)
{
    fprintf(stderr,
            "%srules: ttl %lld%s, status_ttl %d, seal %d, login %d, ignored %d, language %d, "
            "cookie %d, rfc %d, set_cookie %d, document_max %d, stale %d, query %d, invalidate %d, "
            "store %d\n",
            before, (long long)r->ttl, r->ttl_is_forced ? " forced" : "", r->has_status_ttl,
            r->seal, r->has_login, r->login_is_ignored, r->chooses_language, r->keeps_cookie,
            r->stores_statuses_rfc, r->stores_set_cookie, r->has_document_max, r->stale, r->query,
            r->invalidate, r->has_store);
}

static void print_render(const struct render *render)
{
    struct arena arena;
    struct fields fields;
    arena_init(&arena);
    fields_init(&fields, &arena);
    plan_fields(&render->plan, render->serial, render->status, render->answered_ms,
                render->visit->url, &fields);
    fprintf(stderr, "answer %u: %u, sent at %lld, head at %lld, %zu bytes%s\n", render->serial,
            render->status, (long long)render->sent_ms, (long long)render->answered_ms,
            render->body_bytes,
            !render->ended_event ? ", under way"
            : render->is_clean   ? ""
                                 : ", cut");
    for (size_t i = 0; i < fields.count; i++)
        fprintf(stderr, "    %" SLICE_FMT ": %" SLICE_FMT "\n", SLICE_ARG(fields.at[i].name),
                SLICE_ARG(fields.at[i].value));
    for (size_t i = 0; i < SENT_NAMES; i++)
        if (render->was_sent[i])
            fprintf(stderr, "    it was sent %s: %s\n", vary_names[i], render->sent[i]);
    arena_fini(&arena);
    print_visit("  asked for by", render->visit);
    print_rules("    under ", &render->rules);
}

void model_fail(const struct visit *visit, const struct chain *chain, const char *rule)
{
    fprintf(stderr, "\nforbidden: %s\nat %lld, status %u\n", rule, (long long)world.now.wall.ms,
            visit->status);
    print_rules("", &world.rules);
    print_visit("given to", visit);
    for (size_t i = 0; chain && i < chain->count; i++)
        print_render(chain->at[i]);
    abort();
}
