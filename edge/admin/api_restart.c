/* POST /v1/restart: the renderers under `spawn`, one by one (semantics 9.1). */
#include "edge/admin/api_handlers.h"

#include "edge/proc/worker.h"

#include <stdio.h>

static void refuse(struct api_job *job, unsigned status, const char *format, const char *name)
{
    char text[256];
    snprintf(text, sizeof(text), format, name);
    api_error(job, status, text);
}

static const struct origin_config *find_origin(const struct policy *policy, slice name)
{
    for (size_t i = 0; i < policy->origin_count; i++)
        if (slice_equal(policy->origins[i].name, name))
            return &policy->origins[i];
    return NULL;
}

static bool is_any_spawned(const struct policy *policy)
{
    for (size_t i = 0; i < policy->origin_count; i++)
        if (policy->origins[i].spawn.is_set)
            return true;
    return false;
}

/* {"origin": "renderer"} or {}. False: answered. */
static bool read_body(struct api_job *job)
{
    const struct policy *policy = job->server->policy;
    json_t *body =
        json_loadb(job->body.len ? job->body.ptr : "", job->body.len, JSON_REJECT_DUPLICATES, NULL);
    json_t *origin = json_object_get(body, "origin");
    const char *name = json_string_value(origin);
    job->origin = name ? find_origin(policy, slice_of_string(name)) : NULL;
    bool is_fine = false;
    size_t known = origin ? 1 : 0; /* a wrong key shall not mean all of them */
    if (!json_is_object(body) || json_object_size(body) != known || (origin && !name))
        api_error(job, 400, "expected {\"origin\": NAME} or {}");
    else if (name && !job->origin)
        refuse(job, 404, "there is no origin \"%.100s\"", name);
    else if (job->origin && !job->origin->spawn.is_set)
        refuse(job, 409, "varve does not run the workers of \"%.100s\": it has no \"spawn\"", name);
    else if (!is_any_spawned(policy))
        api_error(job, 409, "varve runs no renderers: no origin has \"spawn\"");
    else
        is_fine = true;
    json_decref(body);
    return is_fine;
}

static void answer(struct api_job *job, const struct restart_result *result)
{
    slice lost = result->lost.len ? result->lost : SLICE("a renderer");
    slice errors = arena_printf(&job->arena,
                                "%" SLICE_FMT " did not come back (see the log); those after it "
                                "were not restarted",
                                SLICE_ARG(lost));
    if (result->failed > 0)
        api_answer_json(job, 409,
                        json_pack("{s:s, s:i, s:i, s:o}", "result", "failed", "restarted",
                                  (int)result->restarted, "failed", (int)result->failed, "errors",
                                  api_text(errors)));
    else
        api_answer_json(
            job, 200, json_pack("{s:s, s:i}", "result", "ok", "restarted", (int)result->restarted));
}

bool api_restart(struct api_job *job)
{
    struct server *server = job->server;
    if (!job->is_waiting) {
        if (!read_body(job))
            return true;
        if (atomic_load(&server->is_draining)) { /* it would leave while others restart */
            api_error_leaving(job);
            return true;
        }
        job->ticket = origins_ask_restart(server->origins, job->origin);
        job->is_waiting = true;
        worker_wake_master(server->setup);
    }
    struct restart_result result =
        origins_restart_result(server->origins, job->origin, job->ticket);
    if (result.pending > 0)
        return false;
    answer(job, &result);
    return true;
}
