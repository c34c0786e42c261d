/*
 * What comes to the admin API: purge orders and other bodies as JSON, names of workers in paths,
 * URLs and header lines in queries. Every answer is JSON with a proper status; an order that is
 * refused, or only tried, purges nothing, drains nobody and restarts nobody; one that is carried
 * out has a new stamp, drains the one worker that it names, or restarts those that it names.
 *
 *   input = flags (1 byte: 1: POST, 2: this worker process is leaving, 4: renderers do not come
 *           back) path, newline, query, newline, body
 */
#include "base/log.h"
#include "edge/admin/api_handlers.h"
#include "edge/admin/api_url.h"
#include "edge/admin/metrics.h"
#include "edge/origin/renderer.h"
#include "edge/proc/worker.h"
#include "edge/request/outdated.h"
#include "policy/load.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

enum { IS_POST = 1, IS_LEAVING = 2, HAS_FAILED = 4 };
enum { WORKERS = 4, SPAWNED = 3, NAME_BYTES = 32 }; /* of this policy */

static const char text[] = "origins:\n"
                           "  renderer: {workers: [http://127.0.0.1:1]}\n"
                           "  app: {spawn: {command: [node], workers: 2}}\n"
                           "  api: {spawn: {command: [node], workers: 1, listen: 14001}}\n"
                           "hosts: [shop.example]\n"
                           "routes: [{match: /p/**, query: {keep: [q]}}, {match: /**, ttl: 1m}]\n"
                           "vary: {accept-language: {choose: [en, de], default: en}}\n";
static struct server server;
static struct shared shared;
static struct worker_args args;
static struct worker_setup setup = {.shared = &shared, .args = &args};
static struct mode_word mode;
static struct loop loop;
static h2o_globalconf_t globalconf;

static void *region_of(size_t bytes)
{
    void *region = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(region != MAP_FAILED);
    return region;
}

static void make_regions(void)
{
    char error[256];
    void *purges = region_of(purge_table_bytes()), *counters = region_of(counters_region_bytes());
    void *slots = region_of(slots_region_bytes());
    purge_table_init(purges);
    counters_region_init(counters);
    slots_region_init(slots);
    server.purges = purge_attach(purges, SLICE_NONE, false, clock_now().wall, error);
    server.counters = counters_attach(counters);
    server.origins = origins_new(server.policy, &loop, 1, slots, error);
    MUST(server.purges && server.counters && server.origins);
}

/* A page of /, so that there is something to count and to explain. */
static void store_page(void)
{
    struct arena arena;
    struct fields fields;
    struct request request;
    struct decision decision;
    struct forward forward;
    struct vary_record *record = NULL;
    struct field_names names = {.count = 0};
    arena_init(&arena);
    fields_init(&fields, &arena);
    fields_add(&fields, SLICE("content-type"), SLICE("text/html"));
    MUST(url_request(&server, &arena, SLICE("http://shop.example/"), SLICE("http"), NULL, 0,
                     &request, &decision));
    forward_fill(server.policy, &request, &decision, &names, true, &forward);
    struct object_parts parts = {.key_text = forward.key_text,
                                 .url_text = decision.url_text,
                                 .scheme = request.scheme,
                                 .host = request.host,
                                 .path = request.path,
                                 .facts = {.status = 200, .response_time = clock_now().wall},
                                 .names = &names,
                                 .fields = &fields};
    struct object *object = object_new(&parts);
    MUST(cache_grow_vary(server.cache, &object->url_key, &names, &record));
    cache_store(server.cache, object);
    vary_record_unref(&record);
    object_unref(&object);
    arena_fini(&arena);
}

struct asked {
    uint64_t tickets[WORKERS];
    size_t count;
};

static void note_ticket(void *arg, slice worker, struct renderer *renderer)
{
    struct asked *asked = arg;
    (void)worker;
    MUST(asked->count < WORKERS);
    asked->tickets[asked->count++] = atomic_load(&renderer->restart_asked);
}

static struct asked tickets_of(const struct origin_config *only)
{
    struct asked asked = {.count = 0};
    origins_each_renderer(server.origins, only, note_ticket, &asked);
    return asked;
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    struct arena arena;
    struct diag diag;
    char error[256] = "";
    (void)argc, (void)argv;
    arena_init(&arena);
    diag_init(&diag, &arena);
    server.policy = policy_load_text(slice_of_string(text), SLICE("policy"), &diag);
    MUST(server.policy);
    arena_fini(&arena);
    h2o_config_init(&globalconf);
    h2o_config_register_host(&globalconf, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loop_init(&loop, 0, &globalconf);
    make_regions();
    server.metrics = metrics_new(server.counters, server.policy);
    server.marks = marks_new();
    server.admission = admission_new();
    server.learned = learned_new(server.policy->route_count);
    server.outdated = outdated_new(server.policy->origin_count);
    server.mode = &mode;
    server.shared = &shared;
    server.setup = &setup;
    args.ask = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MUST(tickets_of(NULL).count == SPAWNED && /* numbers are addresses at once */
         origins_drain_worker(server.origins, SLICE("renderer/0"), false));
    log_set_level(LOG_LEVEL_ERROR); /* whoever drains a worker is told of */
    const struct cache_config config = {.memory_bytes = 4 << 20,
                                        .max_object_bytes = 1 << 20,
                                        .max_variants = 8,
                                        .purges = server.purges};
    server.cache = cache_open(&config, error);
    MUST(server.metrics && server.marks && server.cache);
    store_page();
    return 0;
}

/* --- workers --- */

struct picture {
    char names[WORKERS][NAME_BYTES];
    bool is_drained[WORKERS];
    size_t count;
};

static void note_worker(void *arg, const struct worker_view *worker)
{
    struct picture *picture = arg;
    MUST(picture->count < WORKERS && worker->name.len < NAME_BYTES);
    memcpy(picture->names[picture->count], worker->name.ptr, worker->name.len);
    picture->is_drained[picture->count++] = slice_equal(worker->state, SLICE("draining"));
}

static struct picture take_picture(void)
{
    struct picture picture = {.count = 0};
    origins_each_worker(server.origins, note_worker, &picture);
    return picture;
}

/* The worker that the path names is as the answer says, all others are as they were. */
static void check_slot(const struct api_job *job, const json_t *json, const struct picture *before)
{
    struct picture after = take_picture();
    const char *state = json_string_value(json_object_get(json, "state"));
    size_t named = 0;
    MUST(job->status == 200 || job->status == 400 || job->status == 404);
    for (size_t i = 0; i < after.count; i++) {
        slice name = slice_of_string(after.names[i]);
        bool is_named = job->status == 200 && slice_ends_with(job->path, name) &&
                        job->path.len == SLICE("/v1/slots/").len + name.len;
        bool should_be = is_named ? slice_equal(slice_of_string(state), SLICE("draining"))
                                  : before->is_drained[i];
        MUST(after.is_drained[i] == should_be);
        named += is_named;
    }
    MUST(named == (job->status == 200));
}

/* --- renderers --- */

static unsigned count_later(const struct asked *before)
{
    struct asked now = tickets_of(NULL);
    unsigned later = 0;
    for (size_t i = 0; i < now.count; i++) {
        MUST(now.tickets[i] >= before->tickets[i]);
        later += now.tickets[i] > before->tickets[i];
    }
    return later;
}

/* As the master does. */
static void restart_it(void *has_failed, slice worker, struct renderer *renderer)
{
    (void)worker;
    atomic_store(&renderer->restart_end, *(bool *)has_failed ? RESTART_LOST : RESTART_CAME_BACK);
    atomic_store(&renderer->restart_done, atomic_load(&renderer->restart_asked));
}

/* {} is all of them: a name under a wrong key shall not mean that. */
static void check_meant(const struct api_job *job)
{
    json_t *body = json_loadb(job->body.ptr, job->body.len, 0, NULL);
    MUST(json_object_size(body) == (job->origin ? 1 : 0));
    json_decref(body);
}

/* What waits for the master was asked of those that are meant, and of no others. */
static void let_restart(struct api_job *job, const struct asked *before, bool has_failed)
{
    uint64_t rings = 0;
    check_meant(job);
    MUST(!atomic_load(&server.is_draining) && job->is_waiting && !job->answer);
    MUST(read(args.ask, &rings, sizeof(rings)) == (ssize_t)sizeof(rings) && rings == 1);
    MUST(count_later(before) == tickets_of(job->origin).count);
    MUST(!job->handler(job) && count_later(before) == tickets_of(job->origin).count);
    origins_each_renderer(server.origins, NULL, restart_it, &has_failed);
    MUST(job->handler(job));
    MUST(job->status == (has_failed ? 409 : 200));
}

static void check_restart(const struct api_job *job, const json_t *json, const struct asked *before)
{
    if (job->is_waiting) {
        json_int_t back = json_integer_value(json_object_get(json, "restarted"));
        json_int_t failed = json_integer_value(json_object_get(json, "failed"));
        MUST((size_t)(back + failed) == tickets_of(job->origin).count);
        return;
    }
    MUST(job->status == 503 ? atomic_load(&server.is_draining)
                            : job->status == 400 || job->status == 404 || job->status == 409);
    MUST(count_later(before) == 0);
}

/* --- orders --- */

static void check_purge(const struct api_job *job, json_t *json, uint64_t before)
{
    uint64_t after = purge_stamp(server.purges);
    MUST(job->status == 200 || job->status == 400);
    if (job->status == 400) {
        MUST(after == before);
        return;
    }
    MUST(json_is_boolean(json_object_get(json, "soft")));
    MUST((uint64_t)json_integer_value(json_object_get(json, "stamp")) == after);
    MUST((after == before) == json_is_true(json_object_get(json, "dry_run")));
}

static void check_answer(const struct api_job *job, const json_t *json)
{
    MUST(json_is_object(json));
    MUST(job->status == 200 || job->is_waiting || json_is_string(json_object_get(json, "detail")));
}

static void ask(struct api_job *job, bool has_failed)
{
    uint64_t before = purge_stamp(server.purges);
    struct picture picture = take_picture();
    struct asked asked = tickets_of(NULL);
    if (!job->handler(job))
        let_restart(job, &asked, has_failed);
    MUST(job->answer);
    json_t *json = json_loads(job->answer, JSON_ALLOW_NUL, NULL);
    check_answer(job, json);
    if (job->handler == api_purge)
        check_purge(job, json, before);
    else
        MUST(purge_stamp(server.purges) == before);
    if (job->handler == api_restart)
        check_restart(job, json, &asked);
    else
        MUST(count_later(&asked) == 0);
    if (job->handler == api_slot_state)
        check_slot(job, json, &picture);
    json_decref(json);
    free(job->answer);
}

static bool is_asked_here(api_handler_fn handler)
{
    static const api_handler_fn all[] = {api_purge, api_explain,    api_variants, api_mode,
                                         api_slots, api_slot_state, api_set_mode, api_restart};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (handler == all[i])
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 16384 ? size : 16384);
    struct api_job job = {.server = &server};
    arena_init(&job.arena);
    unsigned flags = take_byte(&input);
    job.path = take_line(&input);
    job.query = take_line(&input);
    job.body = input;
    job.handler = api_handler(flags & IS_POST ? METHOD_POST : METHOD_GET, job.path, &job.allow);
    MUST(!job.handler || job.allow.len == 0);
    atomic_store(&server.is_draining, flags & IS_LEAVING);
    if (is_asked_here(job.handler))
        ask(&job, flags & HAS_FAILED);
    arena_fini(&job.arena);
    return 0;
}
