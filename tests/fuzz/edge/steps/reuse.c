/*
 * May a response be given to a request that it was not made for? RFC 9111 §4, by the numbers of the
 * plans; where the rules in force allow more or less, semantics decides and is cited.
 */
#include "tests/fuzz/edge/steps/model.h"

#include <stdio.h>

/* What a stored response and the 304s merged into it say together (RFC 9111 §3.2). */
struct effective {
    struct claims plain, targeted, claims; /* `claims`: those in force */
    const struct render *first, *last;
    bool has_expires, expires_is_invalid, has_date, has_modified;
    int64_t date_ms, expires_ms, modified_ms, age_s;
    unsigned vary;
    bool is_sealed; /* all renders were: freshness may be invented */
};

static int64_t whole_second(int64_t ms)
{
    return ms - ms % 1000;
}

static void take_dates(struct effective *e, const struct render *render)
{
    const struct plan *plan = &render->plan;
    int64_t sent = whole_second(render->answered_ms);
    e->has_date = plan->has_date && !plan->date_is_invalid;
    e->date_ms = e->has_date ? sent + plan->date * 1000 : sent;
    e->age_s = plan->age == NONE ? 0 : plan->age;
    if (plan->has_expires) {
        e->has_expires = true;
        e->expires_is_invalid = plan->expires_is_invalid;
        e->expires_ms = sent + plan->expires * 1000;
    }
    if (plan->has_modified) {
        e->has_modified = true;
        e->modified_ms = sent + plan->modified * 1000;
    }
}

static struct effective effect_of(const struct chain *chain)
{
    struct effective e = {
        .first = chain->at[0], .last = chain->at[chain->count - 1], .is_sealed = true};
    e.plain = e.targeted = (struct claims){
        .max_age = NONE, .s_maxage = NONE, .while_revalidate = NONE, .if_error = NONE};
    for (size_t i = 0; i < chain->count; i++) {
        const struct plan *plan = &chain->at[i]->plan;
        if (plan->plain_text[0] || plan->plain_text[1])
            e.plain = plan->plain;
        if (plan->targeted_text)
            e.targeted = plan->targeted;
        e.vary |= plan->vary;
        e.is_sealed &= rules_are_sealed(&chain->at[i]->rules);
        take_dates(&e, chain->at[i]);
    }
    e.claims = e.targeted.is_given ? e.targeted : e.plain;
    return e;
}

/* --- age and lifetime (RFC 9111 §4.2), in milliseconds --- */

static int64_t age_at(const struct effective *e, int64_t now_ms)
{
    int64_t apparent = whole_second(e->last->answered_ms) - e->date_ms;
    int64_t corrected = e->age_s * 1000 + e->last->answered_ms - e->last->sent_ms;
    int64_t initial = apparent > corrected ? apparent : corrected;
    return (initial > 0 ? initial : 0) + now_ms - e->last->answered_ms;
}

static bool status_is_understood(unsigned status)
{
    return status != 599;
}

static bool forbids_storing(const struct effective *e)
{
    bool is_lifted = e->claims.must_understand && status_is_understood(e->first->status);
    return e->claims.is_private || (e->claims.no_store && !is_lifted);
}

static bool is_explicit(const struct effective *e)
{
    return forbids_storing(e) || e->claims.no_cache || e->claims.s_maxage != NONE ||
           e->claims.max_age != NONE || (e->has_expires && !e->targeted.is_given);
}

static int64_t explicit_lifetime(const struct effective *e)
{
    if (forbids_storing(e) || e->claims.no_cache)
        return 0;
    if (e->claims.s_maxage != NONE)
        return e->claims.s_maxage * 1000;
    if (e->claims.max_age != NONE)
        return e->claims.max_age * 1000;
    int64_t lifetime = e->expires_ms - e->date_ms;
    return e->expires_is_invalid || lifetime < 0 ? 0 : lifetime;
}

static bool ttl_covers(const struct effective *e)
{
    const char *type = e->first->plan.type;
    bool is_page =
        type && (strncmp(type, "text/html", 9) == 0 || strcmp(type, "application/json") == 0);
    return is_page && e->is_sealed && (e->first->status == 200 || e->first->status == 203);
}

static bool is_forced(const struct effective *e)
{
    return world.rules.ttl != NONE && world.rules.ttl_is_forced && ttl_covers(e);
}

static int64_t heuristic_lifetime(const struct effective *e)
{
    static const unsigned heuristic[] = {200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501};
    bool is_cacheable = e->claims.is_public;
    for (size_t i = 0; i < sizeof(heuristic) / sizeof(heuristic[0]); i++)
        is_cacheable |= heuristic[i] == e->first->status;
    if (!is_cacheable || e->targeted.is_given || !e->has_modified)
        return 0;
    int64_t tenth = (e->date_ms - e->modified_ms) / 10;
    return tenth < 10000 ? tenth : 10000; /* heuristic_max */
}

/* Semantics 4.3. Jitter only shortens. */
static int64_t lifetime_of(const struct effective *e)
{
    const struct rules *rules = &world.rules;
    unsigned status = e->first->status;
    bool is_named = rules->has_status_ttl && status == 404;
    int64_t lifetime;
    if (is_forced(e))
        lifetime = rules->ttl * 1000;
    else if (is_explicit(e))
        lifetime = explicit_lifetime(e);
    else if (is_named && e->is_sealed)
        lifetime = STATUS_TTL_S * 1000;
    else if (rules->ttl != NONE)
        lifetime = ttl_covers(e) ? rules->ttl * 1000 : 0;
    else
        lifetime = heuristic_lifetime(e);
    bool is_error = status >= 400 && status < 500;
    if (is_error && !is_named && !rules->error_max_is_none && lifetime > 10000)
        lifetime = 10000;
    return lifetime;
}

/* --- stale (semantics 5.1; http-caching §8) --- */

static int64_t window_of(int64_t of_response, int64_t of_route, const struct effective *e,
                         int64_t built_in)
{
    if (of_response != NONE)
        return of_response;
    if (world.rules.stale != STALE_DEFAULT)
        return world.rules.stale == STALE_RESPONSE ? 0 : of_route;
    return e->claims.s_maxage != NONE ? 0 : built_in;
}

/* A render failed since the request came, or none can run, or the client has waited (7.3, 7.5), or
 * the operator will have none. */
static bool has_excuse(const struct visit *visit)
{
    return world.rules.spares_renderers || visit->failures_before != model_failures() ||
           world.is_busy || world.is_down || world.now.wall.ms - visit->began_ms >= 2000;
}

static bool may_be_stale(const struct visit *visit, const struct effective *e, int64_t staleness_ms)
{
    bool is_forbidden = e->claims.must_revalidate || e->claims.no_cache;
    if (is_forbidden && world.rules.stale != STALE_FORCED)
        return false;
    int64_t behind = window_of(e->claims.while_revalidate, STALE_GIVEN_S, e, 0);
    int64_t on_error = window_of(e->claims.if_error, STALE_IF_ERROR_S, e, 86400);
    return staleness_ms < behind * 1000 || (staleness_ms < on_error * 1000 && has_excuse(visit));
}

static bool is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* --- purges (semantics 6) --- */

static unsigned tag_at(const struct chain *chain, uint64_t event)
{
    unsigned tag = 0;
    for (size_t i = 0; i < chain->count; i++)
        if (chain->at[i]->asked_event < event && chain->at[i]->plan.tag)
            tag = chain->at[i]->plan.tag;
    return tag;
}

static bool is_meant(const struct purge *purge, const struct chain *chain)
{
    const struct target *target = chain->at[0]->visit->target, *of_purge = purge->target;
    switch (purge->kind) {
    case PURGE_URL:
        return target_is_purged_with(&world.rules, target, of_purge);
    case PURGE_PREFIX:
        return is_same(target->host, of_purge->host) &&
               strncmp(target->path, of_purge->path, strlen(of_purge->path)) == 0;
    case PURGE_TAG:
        return tag_at(chain, purge->event) == purge->tag;
    case PURGE_HOST:
        return is_same(target->host, of_purge->host);
    case PURGE_ALL:
    case PURGE_KIND_COUNT:
        break;
    }
    return true;
}

/* Soft: since the last 304. Hard: since the response; nothing dead is validated. */
static bool is_purged(const struct visit *visit, const struct chain *chain, bool soft)
{
    const struct render *since = soft ? chain->at[chain->count - 1] : chain->at[0];
    for (size_t i = 0; i < model_purge_count; i++) {
        const struct purge *purge = &model_purges[i];
        if (purge->is_soft == soft && purge->event > since->asked_event &&
            purge->event < visit->began && purge->by != chain->at[0] && is_meant(purge, chain))
            return true;
    }
    return false;
}

/* --- whose and which (semantics 1.1, 2; RFC 9111 §3.5, §4.1) --- */

/* The renderer did not see the client's, so what it sets is nobody's, and goes (semantics 2.7). */
static bool is_held_back(const struct render *render, const char *cookie)
{
    const char *own = visit_value(render->visit, "cookie");
    return own && strstr(own, cookie) && !strstr(render->sent[VARY_COOKIE], cookie);
}

static void check_person(const struct visit *visit, const struct chain *chain,
                         const struct effective *e)
{
    const struct render *from = e->first;
    bool is_shared = e->claims.is_public || e->claims.must_revalidate || e->claims.s_maxage != NONE;
    FORBID(visit_is_logged_in(&world.rules, visit), "8.1 a stored answer for a person");
    FORBID(visit_is_logged_in(&from->rules, from->visit), "8.1 a person's answer for others");
    /* a 304 to somebody without it says that the same is for everybody */
    FORBID(chain->at[chain->count - 1]->was_sent[VARY_AUTHORIZATION] && !is_shared,
           "9111 §3.5 Authorization");
    FORBID(from->plan.set_cookie != SET_NO_COOKIE && !from->rules.stores_set_cookie &&
               !is_held_back(from, from->plan.set_cookie == SET_SESSION ? "sid=" : "_ga="),
           "4.2 an answer that sets a cookie");
}

static void check_sent(const struct visit *visit, const struct chain *chain, unsigned name)
{
    const struct render *from = chain->at[0];
    char text[SENT_MAX];
    bool sends = visit_would_send(&world.rules, visit, name, text);
    bool was_sent = from->was_sent[name];
    if (name == VARY_AGENT && was_sent && strcmp(from->sent[name], "varve") == 0)
        was_sent = false; /* sealed: nobody's */
    FORBID(sends != was_sent || (sends && strcmp(text, from->sent[name]) != 0), vary_names[name]);
}

/* A sealed fill's head holds nothing but what is keyed: whatever was sent must be the same
 * (semantics 1.2). */
static void check_variant(const struct visit *visit, const struct chain *chain,
                          const struct effective *e)
{
    const struct render *from = e->first;
    FORBID(e->vary >> VARY_STAR & 1, "9111 §4.1 Vary: *");
    for (unsigned name = 0; name < SENT_NAMES; name++)
        if (e->vary >> name & 1 || (rules_are_sealed(&from->rules) && from->was_sent[name] &&
                                    strcmp(from->sent[name], "varve") != 0))
            check_sent(visit, chain, name);
    if (rules_are_open(&world.rules))
        return;
    FORBID(!is_same(visit_value(visit, "rsc"), visit_value(from->visit, "rsc")), "1.4 RSC");
    FORBID(!is_same(visit_value(visit, "accept"), visit_value(from->visit, "accept")),
           "1.4 Accept");
}

/* --- what the client wishes, where that counts (RFC 9111 §5.2.1) --- */

static bool wishes(const struct rules *rules, const struct visit *visit, const char *directive)
{
    return rules->honours_client && is_same(visit_value(visit, "cache-control"), directive);
}

/* What was answered when the request came, or later, is as good as its own; what failed may be
 * replaced. */
static void check_wishes(const struct visit *visit, const struct chain *chain,
                         const struct effective *e)
{
    bool is_new = e->last->answered_ms >= visit->began_ms || has_excuse(visit);
    FORBID(wishes(&world.rules, visit, "no-cache") && !is_new, "9111 §5.2.1.4 no-cache");
    FORBID(wishes(&world.rules, visit, "max-age=0") && !is_new && age_at(e, visit->began_ms) > 0,
           "9111 §5.2.1.1 max-age");
    for (size_t i = 0; i < chain->count; i++)
        FORBID(wishes(&chain->at[i]->rules, chain->at[i]->visit, "no-store") &&
                   !chain->at[i]->is_behind,
               "9111 §5.2.1.5 no-store");
}

/* --- all of it --- */

/* RFC 9110 §9.3.3; `post: rfc`. Nothing may have gone along that a fill would not have sent. */
static bool is_posted_page(const struct effective *e)
{
    const struct render *from = e->first;
    char text[SENT_MAX];
    for (unsigned name = 0; name < SENT_NAMES; name++)
        if (from->was_sent[name] && (!visit_would_send(&from->rules, from->visit, name, text) ||
                                     strcmp(text, from->sent[name]) != 0))
            return false;
    return from->rules.stores_post && strcmp(from->visit->method, "POST") == 0 &&
           from->status == 200 && from->plan.names_itself && !rules_are_sealed(&from->rules) &&
           is_explicit(e);
}

static void check_storable(const struct visit *visit, const struct chain *chain,
                           const struct effective *e)
{
    unsigned status = e->first->status;
    bool is_named = e->first->rules.has_status_ttl && status == 404;
    bool is_page =
        status == 200 || status == 203 || status == 301 || status == 404 || status == 410;
    bool is_temporary = (status == 302 || status == 307) && explicit_lifetime(e) > 0;
    FORBID(!e->first->is_get && !is_posted_page(e), "9111 §3 not an answer to GET");
    FORBID(status == 206 || status == 304, "9111 §3.3 a part, stored");
    FORBID(!e->first->rules.stores_statuses_rfc && !is_page && !is_named && !is_temporary,
           "4.1 a status that is not stored");
    FORBID(e->claims.must_understand && !status_is_understood(status), "9111 §5.2.2.3");
    FORBID(forbids_storing(e) && !is_forced(e), "9111 §5.2.2 no-store or private");
    bool was_over = e->first->ended_event && e->first->ended_event < visit->began;
    FORBID(was_over && !e->first->is_clean, "4.2 a body that was cut");
    FORBID(was_over && model_is_rejected(e->first), "4.2 reject_body");
}

static void check_fresh(const struct visit *visit, const struct chain *chain,
                        const struct effective *e)
{
    int64_t now = visit->began_ms > e->last->answered_ms ? visit->began_ms : e->last->answered_ms;
    int64_t left = lifetime_of(e) - age_at(e, now);
    int64_t resident = now - e->last->answered_ms;
    if (world.rules.has_document_max && left > DOCUMENT_MAX_S * 1000 - resident)
        left = DOCUMENT_MAX_S * 1000 - resident;
    bool is_fresh = left > 0 && !is_purged(visit, chain, true);
    bool is_validated = e->last->visit == visit && e->last->answered_event > visit->began;
    FORBID(!is_fresh && !is_validated && !may_be_stale(visit, e, left < 0 ? -left : 0),
           "9111 §4.2 not fresh, and may not be stale");
}

/* On what was stored before the request came; a flight that is joined is a miss. */
static void check_age(const struct visit *visit, const struct chain *chain,
                      const struct effective *e, const struct sink_head *head)
{
    slice age = fields_value(head->fields, FIELD_AGE);
    uint64_t seconds;
    if (e->first->ended_event == 0 || e->first->ended_event > visit->began || head->status == 304)
        return;
    FORBID(!slice_to_u64(age, &seconds), "9111 §5.1 a hit without Age");
    FORBID((int64_t)seconds != age_at(e, world.now.wall.ms) / 1000, "9111 §5.1 a wrong Age");
}

static void check_secret(const struct visit *visit, const struct chain *chain,
                         const struct effective *e, const struct sink_head *head)
{
    FORBID(!e->first->rules.stores_set_cookie && fields_find(head->fields, SLICE("set-cookie")),
           "4.2 a cookie for others");
    FORBID(e->claims.limits_secret && !is_forced(e) && fields_find(head->fields, SLICE("x-secret")),
           "9111 §5.2.2.4 a field that is not for others");
    FORBID(fields_find(head->fields, SLICE("x-interim")), "9110 §15.2 a field of a 1xx");
}

/* A 304 to a client names the response alone, not the 304s that renewed it. */
static bool may_have_been_renewed(const struct sink_head *head, const struct render *first)
{
    return head->status == 304 && model_was_validated(first);
}

void reuse_check(const struct visit *visit, const struct chain *chain, const struct sink_head *head)
{
    struct effective e = effect_of(chain);
    bool is_get = strcmp(visit->method, "GET") == 0 || strcmp(visit->method, "HEAD") == 0;
    FORBID(!is_get, "9111 §4 reuse for another method");
    FORBID(e.first->status == 304, "a 304 that stands for itself");
    /* stored under other rules, its URL is what they made of it */
    FORBID(!target_is_same(&world.rules, visit->target, e.first->visit->target) &&
               !target_is_same(&e.first->rules, visit->target, e.first->visit->target),
           "1.1 another URL");
    check_person(visit, chain, &e);
    FORBID(is_purged(visit, chain, false), "6.2 purged");
    if (may_have_been_renewed(head, e.first))
        return;
    check_storable(visit, chain, &e);
    check_variant(visit, chain, &e);
    check_wishes(visit, chain, &e);
    check_fresh(visit, chain, &e);
    check_age(visit, chain, &e, head);
    check_secret(visit, chain, &e, head);
}
