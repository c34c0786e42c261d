/* The endpoints that only show or ask, and the table of all of them. */
#include "edge/admin/api_handlers.h"

#include "edge/admin/metrics.h"
#include "edge/proc/worker.h"

#include <jansson.h>
#include <stdlib.h>

void api_answer_json(struct api_job *job, unsigned status, json_t *json)
{
    job->status = status;
    job->answer = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!job->answer) {
        job->status = 500;
        job->answer = strdup("{}");
    }
}

json_t *api_text(slice text)
{
    json_t *json = json_stringn(text.ptr ? text.ptr : "", text.len);
    if (json)
        return json;
    char *copy = mem_alloc(text.len);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = (unsigned char)text.ptr[i] < 0x80 ? text.ptr[i] : '?';
    json = json_stringn(copy, text.len);
    free(copy);
    return json;
}

void api_error(struct api_job *job, unsigned status, const char *detail)
{
    job->type = SLICE("application/problem+json");
    api_answer_json(job, status,
                    json_pack("{s:s, s:i, s:o}", "title",
                              status == 507 ? "not written" : "the request was refused", "status",
                              (int)status, "detail", api_text(slice_of_string(detail))));
}

void api_error_leaving(struct api_job *job)
{
    bool is_stopping = atomic_load(&job->server->shared->is_stopping);
    api_error(job, 503,
              is_stopping ? "varve is stopping"
                          : "this worker is leaving: ask again, the next one answers");
}

static bool give_text(struct api_job *job, char *text, slice type)
{
    job->status = 200;
    job->type = type;
    job->answer = text ? text : strdup("");
    return true;
}

static bool api_stats(struct api_job *job)
{
    return give_text(job, metrics_json(job->server), SLICE("application/json"));
}

static bool api_metrics(struct api_job *job)
{
    return give_text(job, metrics_prometheus(job->server), SLICE("text/plain; version=0.0.4"));
}

static bool api_healthz(struct api_job *job)
{
    return give_text(job, strdup("ok\n"), SLICE("text/plain"));
}

static void note_live(void *arg, const struct worker_view *worker)
{
    bool *is_any_live = arg;
    *is_any_live |= slice_equal(worker->state, SLICE("live")) ||
                    slice_equal(worker->state, SLICE("quarantined"));
}

static bool is_any_renderer_live(const struct server *server)
{
    bool is_any_live = false;
    origins_each_worker(server->origins, note_live, &is_any_live);
    return is_any_live;
}

/* Ready as long as varve answers by any means; `?renderers`: only with a live one (semantics 10.3).
 */
static bool api_readyz(struct api_job *job)
{
    struct server *server = job->server;
    bool is_ready = atomic_load(&server->is_ready) && !atomic_load(&server->is_draining);
    if (slice_equal(job->query, SLICE("renderers")))
        is_ready = is_ready && is_any_renderer_live(server);
    give_text(job, strdup(is_ready ? "ready\n" : "not ready\n"), SLICE("text/plain"));
    job->status = is_ready ? 200 : 503;
    return true;
}

static bool api_reload(struct api_job *job)
{
    const struct worker_setup *setup = job->server->setup;
    char text[RELOAD_TEXT_BYTES];
    enum reload_result result;
    if (!job->is_waiting) {
        job->ticket = worker_ask_reload(setup);
        job->is_waiting = true;
    }
    if (!worker_reload_done(setup, job->ticket, &result, text)) {
        if (!atomic_load(&job->server->is_draining))
            return false;
        /* the next reload waits until this worker has left, which would wait for this answer */
        api_error_leaving(job);
        return true;
    }
    /* who is told goes by it: whatever he asks next is the next process's */
    if (result == RELOAD_OK && !atomic_load(&job->server->is_closed))
        return false;
    if (result == RELOAD_OK)
        api_answer_json(job, 200, json_pack("{s:s}", "result", "ok"));
    else
        api_answer_json(job, 409,
                        json_pack("{s:s, s:s, s:o}", "result", "failed", "cause",
                                  result == RELOAD_REFUSED ? "policy" : "start", "errors",
                                  api_text(slice_of_string(text))));
    return true;
}

/* A path, and what each method does there; NULL: nothing. */
struct endpoint {
    slice path;
    api_handler_fn get, post; /* GET: HEAD too */
};

static const struct endpoint slot_endpoint = {.post = api_slot_state};

static const struct endpoint *find_endpoint(slice path)
{
    static const struct endpoint endpoints[] = {
        {{"/v1/purge", 9}, NULL, api_purge},        {{"/v1/explain", 11}, api_explain, NULL},
        {{"/v1/variants", 12}, api_variants, NULL}, {{"/v1/stats", 9}, api_stats, NULL},
        {{"/v1/slots", 9}, api_slots, NULL},        {{"/v1/mode", 8}, api_mode, api_set_mode},
        {{"/v1/reload", 10}, NULL, api_reload},     {{"/v1/restart", 11}, NULL, api_restart},
        {{"/metrics", 8}, api_metrics, NULL},       {{"/healthz", 8}, api_healthz, NULL},
        {{"/readyz", 7}, api_readyz, NULL},
    };
    if (slice_starts_with(path, SLICE("/v1/slots/")))
        return &slot_endpoint;
    for (size_t i = 0; i < sizeof(endpoints) / sizeof(endpoints[0]); i++)
        if (slice_equal(endpoints[i].path, path))
            return &endpoints[i];
    return NULL;
}

api_handler_fn api_handler(enum method method, slice path, slice *allow)
{
    const struct endpoint *endpoint = find_endpoint(path);
    *allow = SLICE_NONE;
    if (!endpoint)
        return NULL;
    api_handler_fn handler = method == METHOD_POST                           ? endpoint->post
                             : method == METHOD_GET || method == METHOD_HEAD ? endpoint->get
                                                                             : NULL;
    if (!handler)
        *allow = !endpoint->get    ? SLICE("POST")
                 : !endpoint->post ? SLICE("GET, HEAD")
                                   : SLICE("GET, HEAD, POST");
    return handler;
}
