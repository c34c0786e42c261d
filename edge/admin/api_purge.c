/*
 * Purges over HTTP (semantics 6.4): POST /v1/purge with lists of URLs, prefixes, tags and hosts,
 * and PURGE on the public listener. The whole order is checked before anything is purged; `purged`
 * counts what URLs had, else it is null.
 */
#include "edge/admin/api_handlers.h"
#include "edge/admin/api_url.h"
#include "edge/admin/metrics.h"

#include "base/log.h"
#include "edge/request/purge_order.h"

#include <stdlib.h>

enum { ORDERS_MAX = 10000 };

struct purging {
    struct api_job *job;
    struct purge_order orders[ORDERS_MAX];
    size_t count;
    bool is_soft, is_softness_said; /* for all orders alike */
    bool is_dry_run, counts_exactly;
    uint64_t purged;
    char error[512];
};

/* --- counting what a URL has stored: both schemes --- */

struct counting {
    struct server *server;
    uint64_t live;
};

static void count_live(void *arg, const struct cache_variant *variant)
{
    struct counting *counting = arg;
    counting->live += object_purge_state(counting->server->purges, variant->object) != PURGE_DEAD;
}

/* Calls `visit` with the key of the order's URL in each scheme: a purge covers both
 * (semantics 6.4). */
static void each_url_key(struct server *server, struct arena *arena,
                         const struct purge_order *order,
                         void (*visit)(struct server *server, const struct key *url_key, void *arg),
                         void *arg)
{
    static const slice schemes[] = {{"http", 4}, {"https", 5}};
    slice query_mark = order->has_query ? SLICE("?") : SLICE_NONE;
    for (size_t i = 0; i < 2; i++) {
        struct request request;
        struct decision decision;
        slice url = arena_concat(
            arena,
            (slice[]){schemes[i], SLICE("://"), order->host, order->path, query_mark, order->query},
            6);
        if (!url_request(server, arena, url, schemes[i], NULL, 0, &request, &decision) ||
            !slice_equal(request.host, order->host))
            continue; /* a port that is this scheme's default: with it another host */
        struct key url_key = key_of(decision.url_text);
        visit(server, &url_key, arg);
    }
}

static void count_variants(struct server *server, const struct key *url_key, void *counting)
{
    cache_variants(server->cache, url_key, count_live, counting);
}

static uint64_t count_stored(struct server *server, struct arena *arena,
                             const struct purge_order *order)
{
    struct counting counting = {.server = server};
    each_url_key(server, arena, order, count_variants, &counting);
    return counting.live;
}

/* --- reading the order --- */

static slice text_of(json_t *json)
{
    return slice_of(json_string_value(json), json_string_length(json));
}

static bool add_order(struct purging *p, const struct purge_order *order)
{
    if (p->count == ORDERS_MAX) {
        snprintf(p->error, sizeof(p->error), "more than %d purges in one request", ORDERS_MAX);
        return false;
    }
    /* a wrong --all costs every render at once: soft unless said otherwise (semantics 6.4) */
    bool is_wide = order->kind == PURGE_ALL || order->kind == PURGE_HOST;
    p->orders[p->count] = *order;
    p->orders[p->count++].is_soft = p->is_softness_said ? p->is_soft : is_wide;
    return true;
}

static bool refuse(struct purging *p, slice text, const char *why)
{
    slice shown = slice_until(text, 200);
    snprintf(p->error, sizeof(p->error), "\"%" SLICE_FMT "\" %s", SLICE_ARG(shown), why);
    return false;
}

/* As its objects are keyed. Only URLs have a query. */
static bool read_url(struct purging *p, slice text, slice default_host, struct purge_order *order)
{
    return rules_purge_url(p->job->server->policy, &p->job->arena, text, default_host, &order->host,
                           &order->path, &order->query, &order->has_query);
}

static bool add_url(struct purging *p, slice text)
{
    struct purge_order order = {.kind = PURGE_URL};
    if (!read_url(p, text, url_only_host(p->job->server->policy), &order))
        return refuse(p, text, "is not a URL with a host: write https://HOST/PATH");
    return add_order(p, &order);
}

static bool add_prefix(struct purging *p, slice text)
{
    struct purge_order order = {.kind = PURGE_PREFIX};
    if (!read_url(p, text, url_only_host(p->job->server->policy), &order) || order.has_query)
        return refuse(p, text, "is not a prefix: write https://HOST/PATH-PREFIX without a query");
    p->counts_exactly = false;
    return add_order(p, &order);
}

static bool add_tag(struct purging *p, slice text)
{
    p->counts_exactly = false;
    return add_order(p, &(struct purge_order){.kind = PURGE_TAG, .tag = text});
}

static bool add_host(struct purging *p, slice text)
{
    struct purge_order order = {.kind = PURGE_HOST};
    if (!read_url(p, SLICE("/"), text, &order))
        return refuse(p, text, "is not a host");
    p->counts_exactly = false;
    return add_order(p, &order);
}

static bool each_text(struct purging *p, json_t *body, const char *name,
                      bool (*take)(struct purging *, slice))
{
    json_t *list = json_object_get(body, name), *item;
    size_t i;
    if (list && !json_is_array(list)) {
        snprintf(p->error, sizeof(p->error), "\"%s\" must be a list of texts", name);
        return false;
    }
    json_array_foreach(list, i, item)
    {
        if (!json_is_string(item) || !json_string_length(item)) {
            snprintf(p->error, sizeof(p->error), "\"%s\": item %zu is not a text", name, i);
            return false;
        }
        if (!take(p, text_of(item)))
            return false;
    }
    return true;
}

static bool read_flag(struct purging *p, json_t *body, const char *name, bool *flag)
{
    json_t *value = json_object_get(body, name);
    if (value && !json_is_boolean(value)) {
        snprintf(p->error, sizeof(p->error), "\"%s\" must be true or false", name);
        return false;
    }
    if (value)
        *flag = json_is_true(value);
    return true;
}

static bool has_only_known_keys(struct purging *p, json_t *body)
{
    static const char *const known[] = {"urls", "prefixes", "tags",   "hosts",
                                        "all",  "soft",     "dry_run"};
    const char *name;
    json_t *value;
    json_object_foreach(body, name, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            is_known |= strcmp(known[i], name) == 0;
        if (!is_known) {
            snprintf(p->error, sizeof(p->error), "unknown key \"%.100s\"", name);
            return false;
        }
    }
    return true;
}

static bool read_order(struct purging *p, json_t *body)
{
    bool is_all = false;
    p->is_softness_said = json_object_get(body, "soft") != NULL;
    p->counts_exactly = true;
    if (!has_only_known_keys(p, body) || !read_flag(p, body, "all", &is_all) ||
        !read_flag(p, body, "soft", &p->is_soft) ||
        !read_flag(p, body, "dry_run", &p->is_dry_run) || !each_text(p, body, "urls", add_url) ||
        !each_text(p, body, "prefixes", add_prefix) || !each_text(p, body, "tags", add_tag) ||
        !each_text(p, body, "hosts", add_host))
        return false;
    if (is_all) {
        p->counts_exactly = false;
        if (!add_order(p, &(struct purge_order){.kind = PURGE_ALL}))
            return false;
    }
    if (p->count == 0)
        snprintf(p->error, sizeof(p->error),
                 "nothing to purge: name urls, prefixes, tags, hosts or all");
    return p->count > 0;
}

/* --- doing it --- */

static int compare_orders(const void *a, const void *b)
{
    const struct purge_order *x = a, *y = b;
    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    if (x->has_query != y->has_query)
        return x->has_query ? 1 : -1;
    const slice pairs[][2] = {
        {x->path, y->path}, {x->query, y->query}, {x->host, y->host}, {x->tag, y->tag}};
    int order = 0;
    for (size_t i = 0; i < 4 && order == 0; i++)
        order = slice_compare(pairs[i][0], pairs[i][1]);
    return order;
}

/* What is named twice is purged, and counted, once. */
static void drop_doubles(struct purging *p)
{
    size_t kept = 0;
    qsort(p->orders, p->count, sizeof(p->orders[0]), compare_orders);
    for (size_t i = 0; i < p->count; i++)
        if (kept == 0 || compare_orders(&p->orders[kept - 1], &p->orders[i]) != 0)
            p->orders[kept++] = p->orders[i];
    p->count = kept;
}

/* May all that it names still be served? */
static bool is_all_soft(const struct purging *p)
{
    bool is_soft = true;
    for (size_t i = 0; i < p->count; i++)
        is_soft &= p->orders[i].is_soft;
    return is_soft;
}

static void reset_union(struct server *server, const struct key *url_key, void *unused)
{
    (void)unused;
    cache_reset_vary(server->cache, url_key);
}

/* The record first: from then on nothing that is older is served, whatever happens to the rest.
 * What the data of a page has stored is not counted: nobody knows its URLs. */
static int execute(struct server *server, struct arena *arena, const struct purge_order *order,
                   uint64_t *stamp)
{
    struct purge_order twins;
    int error = purge_add(server->purges, order, clock_now().wall, stamp), failed = 0;
    metrics_purge(server->metrics, order->kind, 1);
    if (order->kind != PURGE_URL)
        return error;
    if (purge_order_of_twins(server->policy, order, arena, &twins))
        failed = purge_add(server->purges, &twins, clock_now().wall, stamp);
    if (!order->is_soft)
        each_url_key(server, arena, order, reset_union, NULL);
    return error ? error : failed;
}

static void purge_all_orders(struct purging *p)
{
    struct api_job *job = p->job;
    uint64_t stamp = purge_stamp(job->server->purges);
    int error = 0;
    drop_doubles(p);
    for (size_t i = 0; i < p->count && p->counts_exactly; i++)
        p->purged += count_stored(job->server, &job->arena, &p->orders[i]);
    for (size_t i = 0; i < p->count && !p->is_dry_run; i++) {
        int failed = execute(job->server, &job->arena, &p->orders[i], &stamp);
        error = failed ? failed : error;
    }
    if (error) {
        char text[200];
        snprintf(text, sizeof(text), "the purge holds until restart, but could not be written: %s",
                 strerror(error));
        log_error("purge not written", {"error", slice_of_string(strerror(error)), 0});
        api_error(job, 507, text);
        return;
    }
    json_t *count = p->counts_exactly ? json_integer((json_int_t)p->purged) : json_null();
    api_answer_json(job, 200,
                    json_pack("{s:o, s:I, s:b, s:b}", "purged", count, "stamp", (json_int_t)stamp,
                              "soft", is_all_soft(p), "dry_run", p->is_dry_run));
}

bool api_purge(struct api_job *job)
{
    json_error_t where;
    json_t *body = json_loadb(job->body.ptr, job->body.len, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(body)) {
        char text[300];
        snprintf(text, sizeof(text), "the body must be a JSON object: %.200s",
                 body ? "it is something else" : where.text);
        json_decref(body);
        api_error(job, 400, text);
        return true;
    }
    struct purging *p = mem_alloc(sizeof(*p));
    p->job = job;
    if (read_order(p, body))
        purge_all_orders(p);
    else
        api_error(job, 400, p->error);
    free(p);
    json_decref(body);
    return true;
}

int purge_request_url(struct server *server, const struct request *request,
                      const struct decision *decision, uint64_t *stamp)
{
    struct purge_order order = purge_order_of(request, decision);
    return execute(server, request->arena, &order, stamp);
}
