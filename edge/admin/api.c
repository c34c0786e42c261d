/*
 * Each request becomes a job for one thread: it may read the store, count, or wait for a reload,
 * none of which a loop may do. The finished job is posted back to its loop, which answers if the
 * client is still there.
 */
#include "edge/admin/api.h"

#include "base/log.h"
#include "base/must.h"
#include "base/user_file.h"
#include "edge/admin/api_door.h"
#include "edge/admin/api_handlers.h"
#include "edge/request/sink.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { JOBS_MAX = 128, POLL_MS = 50 };

struct api {
    struct server *server;
    char token_bytes[USER_TOKEN_MAX];
    slice token; /* a view of them; empty: there is none */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct list jobs; /* hold lock */
    size_t job_count; /* queued, polled or being answered: hold lock */
    bool is_stopping;
};

/* --- answering, on the loop --- */

static void job_free(struct api_job *job)
{
    struct api *api = job->server->api;
    pthread_mutex_lock(&api->lock);
    api->job_count--;
    pthread_mutex_unlock(&api->lock);
    free(job->answer);
    arena_fini(&job->arena);
    free(job);
}

static void job_answer(struct api_job *job)
{
    struct fields fields;
    fields_init(&fields, &job->arena);
    slice type = job->type.len ? job->type : SLICE("application/json");
    fields_add_id(&fields, FIELD_CONTENT_TYPE, type);
    fields_add_id(&fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    if (job->status == 401)
        fields_add(&fields, SLICE("www-authenticate"), SLICE("Bearer"));
    if (job->status == 405)
        fields_add(&fields, SLICE("allow"), job->allow);
    slice body = slice_of_string(job->answer);
    struct sink_head head = {.status = job->status,
                             .reason = job->status < 400 ? SLICE("OK") : SLICE("Error"),
                             .fields = &fields,
                             .length = body.len};
    sink_start(job->sink, &head);
    sink_send(job->sink, &body, body.len ? 1 : 0, true);
}

static void on_want(void *owner)
{
    (void)owner; /* everything was sent at once */
}

static void on_gone(void *owner)
{
    struct api_job *job = owner;
    job->sink = NULL;
    if (job->is_finished)
        job_free(job);
}

static void on_finished(struct loop_message *message)
{
    struct api_job *job = container_of(message, struct api_job, finished);
    job->is_finished = true;
    if (job->sink)
        job_answer(job); /* on_gone() frees it */
    else
        job_free(job);
}

/* --- the thread --- */

static void finish_job(struct api_job *job)
{
    MUST(job->answer);
    loop_post(job->loop, &job->finished);
}

/* Runs or polls each job once; what is not done stays in the list. */
static void work(struct list *jobs)
{
    struct list *next;
    for (struct list *node = jobs->next; node != jobs; node = next) {
        next = node->next;
        struct api_job *job = container_of(node, struct api_job, node);
        if (job->handler(job)) {
            list_remove(node);
            finish_job(job);
        }
    }
}

static void take_jobs(struct api *api, struct list *into)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += POLL_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_mutex_lock(&api->lock);
    bool is_polling = !list_is_empty(into);
    while (list_is_empty(&api->jobs) && !api->is_stopping) {
        int result = is_polling ? pthread_cond_timedwait(&api->wake, &api->lock, &until)
                                : pthread_cond_wait(&api->wake, &api->lock);
        if (result != 0)
            break;
    }
    while (!list_is_empty(&api->jobs)) {
        struct list *node = api->jobs.next;
        list_remove(node);
        list_append(into, node);
    }
    pthread_mutex_unlock(&api->lock);
}

static bool is_stopping(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    bool stopping = api->is_stopping;
    pthread_mutex_unlock(&api->lock);
    return stopping;
}

static void *run(void *arg)
{
    struct api *api = arg;
    struct list jobs;
    list_init(&jobs);
    while (!is_stopping(api)) {
        take_jobs(api, &jobs);
        work(&jobs);
    }
    return NULL;
}

/* --- the door (semantics 10.2) --- */

bool api_may_debug(const struct api *api, const struct request *request)
{
    return door_opens(api->token, fields_value(&request->fields, FIELD_X_VARVE_DEBUG));
}

static bool is_json(const struct request *request)
{
    slice type = fields_value(&request->fields, FIELD_CONTENT_TYPE);
    return slice_equal_nocase(slice_trim(slice_until(type, slice_find(type, ';', 0))),
                              SLICE("application/json"));
}

/* What is wrong with the request, before anything is done for it. */
static struct api_refusal refusal_of(const struct api *api, const struct api_job *job,
                                     const struct request *request)
{
    struct api_refusal refusal =
        door_refusal(api->server->policy->admin_listen, api->token, request);
    if (job->is_over_limit)
        return (struct api_refusal){503, "too many admin requests at a time"};
    if (refusal.status)
        return refusal;
    if (!job->handler && job->allow.len)
        return (struct api_refusal){405, "this method is not for this path"};
    if (!job->handler)
        return (struct api_refusal){404, "no such path"};
    if (request->method == METHOD_POST && !is_json(request))
        return (struct api_refusal){415, "Content-Type must be application/json"};
    return (struct api_refusal){0};
}

static void refuse(struct api_job *job, struct api_refusal refusal)
{
    api_error(job, refusal.status, refusal.detail);
    job->is_finished = true;
    job_answer(job);
}

/* --- a request comes --- */

/* Who asks: the user and process on a unix socket, else the address. */
static slice caller_of(struct arena *arena, h2o_req_t *h2o_req, const struct request *request)
{
    struct ucred caller;
    socklen_t bytes = sizeof(caller);
    char text[IP_TEXT_BYTES];
    int fd = h2o_socket_get_fd(h2o_req->conn->callbacks->get_socket(h2o_req->conn));
    /* of TCP the kernel says pid 0 */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &caller, &bytes) == 0 && caller.pid > 0)
        return arena_printf(arena, "uid %u, pid %d", caller.uid, (int)caller.pid);
    return arena_copy(arena, ip_format(&request->peer, text));
}

static struct api_job *job_new(struct server *server, struct loop *loop, h2o_req_t *h2o_req,
                               const struct request *request)
{
    static const struct sink_events events = {on_want, on_gone};
    struct api *api = server->api;
    struct api_job *job = mem_alloc(sizeof(*job));
    job->server = server;
    job->loop = loop;
    job->finished.deliver = on_finished;
    job->path = arena_copy(&job->arena, request->path);
    job->query = arena_copy(&job->arena, request->query);
    job->body = arena_copy(&job->arena, request->body);
    job->caller = caller_of(&job->arena, h2o_req, request);
    job->sink = sink_new(h2o_req, &events, job);
    pthread_mutex_lock(&api->lock);
    job->is_over_limit = ++api->job_count > JOBS_MAX;
    pthread_mutex_unlock(&api->lock);
    return job;
}

static void enqueue(struct api *api, struct api_job *job)
{
    pthread_mutex_lock(&api->lock);
    list_append(&api->jobs, &job->node);
    pthread_cond_signal(&api->wake);
    pthread_mutex_unlock(&api->lock);
}

void api_on_request(struct loop *loop, h2o_req_t *h2o_req, struct request *request, void *arg)
{
    struct server *server = arg;
    struct api *api = server->api;
    struct api_job *job = job_new(server, loop, h2o_req, request);
    job->handler = api_handler(request->method, request->path, &job->allow);
    struct api_refusal refusal = refusal_of(api, job, request);
    if (refusal.status)
        refuse(job, refusal);
    else
        enqueue(api, job);
}

/* --- life --- */

struct api *api_new(struct server *server, char *error)
{
    struct api *api = mem_alloc(sizeof(*api));
    api->server = server;
    slice token_file = server->policy->admin_token_file;
    const char *cause;
    if (token_file.len &&
        !user_file_read_token(token_file, api->token_bytes, &api->token, &cause)) {
        snprintf(error, 256, "admin.token_file: cannot read \"%" SLICE_FMT "\": %s",
                 SLICE_ARG(slice_until(token_file, 80)), cause);
        free(api);
        return NULL;
    }
    list_init(&api->jobs);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&api->wake, &monotonic);
    pthread_mutex_init(&api->lock, NULL);
    MUST(pthread_create(&api->thread, NULL, run, api) == 0);
    return api;
}

void api_stop(struct api *api)
{
    pthread_mutex_lock(&api->lock);
    api->is_stopping = true;
    pthread_cond_signal(&api->wake);
    pthread_mutex_unlock(&api->lock);
    pthread_join(api->thread, NULL);
}
