/* GET /v1/mode and POST /v1/mode: the operator's mode, for all worker processes at once. */
#include "edge/admin/api_handlers.h"
#include "edge/admin/metrics.h"

#include "base/log.h"

bool api_mode(struct api_job *job)
{
    const struct mode_word *mode = job->server->mode;
    slice name = mode_name(mode_now(mode));
    duration since = mono_since(clock_now().mono, mode_since(mode));
    api_answer_json(job, 200,
                    json_pack("{s:s%, s:f}", "mode", name.ptr, name.len, "since_seconds",
                              since.ms > 0 ? (double)since.ms / 1000 : 0.0));
    return true;
}

static void tell(const struct api_job *job, enum mode was, enum mode to)
{
    metrics_mode(job->server->metrics, to);
    if (to == MODE_AUTO)
        log_info("mode is auto again: the rules decide", {"was", mode_name(was)},
                 {"by", job->caller});
    else
        log_warn("mode is set by the operator", {"mode", mode_name(to)}, {"was", mode_name(was)},
                 {"by", job->caller});
}

bool api_set_mode(struct api_job *job)
{
    json_t *body = json_loadb(job->body.len ? job->body.ptr : "", job->body.len, 0, NULL);
    json_t *wanted = json_object_get(body, "mode");
    slice name = json_is_string(wanted)
                     ? slice_of(json_string_value(wanted), json_string_length(wanted))
                     : SLICE_NONE;
    enum mode to;
    if (mode_of_name(name, &to)) {
        enum mode was = mode_set(job->server->mode, to, clock_now().mono);
        if (was != to)
            tell(job, was, to);
        api_answer_json(
            job, 200,
            json_pack("{s:s, s:s}", "mode", mode_name(to).ptr, "was", mode_name(was).ptr));
    } else {
        api_error(job, 400, "expected {\"mode\": \"auto\"}, \"ssr\" or \"shell\"");
    }
    json_decref(body);
    return true;
}
