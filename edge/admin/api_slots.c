/* GET /v1/slots: what the renderers are doing. POST /v1/slots/WORKER: drains one, or takes that
 * back. */
#include "edge/admin/api_handlers.h"
#include "edge/origin/share.h"

#include <stdio.h>

static double seconds_since(mono_time since)
{
    int64_t ms = since.ms > 0 ? mono_since(clock_now().mono, since).ms : 0;
    return ms > 0 ? (double)ms / 1000 : 0;
}

static void add_worker(void *arg, const struct worker_view *worker)
{
    json_t *row = json_pack("{s:o, s:o, s:f, s:i, s:i}", "worker", api_text(worker->name), "state",
                            api_text(worker->state), "since_seconds", seconds_since(worker->since),
                            "busy", (int)worker->busy, "slots", (int)worker->slots);
    if (worker->build.len > 0)
        json_object_set_new(row, "build", api_text(worker->build));
    json_array_append_new(arg, row);
}

static void add_render(void *arg, slice worker, unsigned slot, slice state, slice path,
                       mono_time since)
{
    json_array_append_new(arg, json_pack("{s:o, s:i, s:o, s:f, s:o}", "worker", api_text(worker),
                                         "slot", (int)slot, "state", api_text(state), "seconds",
                                         seconds_since(since), "path",
                                         path.len > 0 ? api_text(path) : json_null()));
}

struct queue_rows {
    json_t *rows;
    const struct policy *policy;
    const struct origin_config *origin;
};

static void add_waiting(void *arg, unsigned rank, unsigned waiting, mono_time oldest)
{
    struct queue_rows *queue = arg;
    slice name = rank < queue->policy->class_count ? queue->policy->classes[rank].name
                                                   : SLICE("(background)");
    json_array_append_new(queue->rows,
                          json_pack("{s:o, s:o, s:i, s:f}", "origin", api_text(queue->origin->name),
                                    "class", api_text(name), "waiting", (int)waiting,
                                    "oldest_seconds", seconds_since(oldest)));
}

static json_t *origin_row(struct server *server, const struct origin_config *origin)
{
    struct origin_state state = origin_state(server->origins, origin);
    json_t *row = json_pack("{s:o, s:i, s:i, s:i, s:i}", "origin", api_text(origin->name),
                            "live_slots", (int)state.live_slots, "busy", (int)state.busy_slots,
                            "waiting", (int)state.waiting, "quarantined", (int)state.quarantined);
    if (!share_is_whole(origin))
        json_object_set_new(row, "share",
                            json_sprintf("%u/%u", origin->share.part, origin->share.of));
    return row;
}

bool api_slots(struct api_job *job)
{
    struct server *server = job->server;
    json_t *workers = json_array(), *origins = json_array(), *renders = json_array();
    struct queue_rows queue = {json_array(), server->policy, NULL};
    origins_each_worker(server->origins, add_worker, workers);
    origins_each_render(server->origins, add_render, renders);
    for (size_t i = 0; i < server->policy->origin_count; i++) {
        queue.origin = &server->policy->origins[i];
        json_array_append_new(origins, origin_row(server, queue.origin));
        origins_each_waiting(server->origins, queue.origin, add_waiting, &queue);
    }
    api_answer_json(job, 200,
                    json_pack("{s:o, s:o, s:o, s:o}", "origins", origins, "workers", workers,
                              "renders", renders, "queue", queue.rows));
    return true;
}

/* /v1/slots/renderer/0 with {"state": "drain"} or {"state": "up"} */
bool api_slot_state(struct api_job *job)
{
    slice name = slice_from(job->path, SLICE("/v1/slots/").len);
    json_t *body = json_loadb(job->body.len ? job->body.ptr : "", job->body.len, 0, NULL);
    const char *state = json_string_value(json_object_get(body, "state"));
    bool is_drain = state && strcmp(state, "drain") == 0;
    char text[256];
    snprintf(text, sizeof(text), "there is no worker \"%.*s\" with an address: see varve slots",
             SLICE_ARG(slice_until(name, 100)));
    if (!is_drain && !(state && strcmp(state, "up") == 0))
        api_error(job, 400, "expected {\"state\": \"drain\"} or {\"state\": \"up\"}");
    else if (!origins_drain_worker(job->server->origins, name, is_drain))
        api_error(job, 404, text);
    else
        api_answer_json(job, 200,
                        json_pack("{s:o, s:s}", "worker", api_text(name), "state",
                                  is_drain ? "draining" : "up"));
    json_decref(body);
    return true;
}
