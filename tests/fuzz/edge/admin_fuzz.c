/*
 * What comes to the admin API: purge orders as JSON, URLs and header lines in queries. Every answer
 * is JSON with a proper status; an order that is refused, or only tried, purges nothing; one that
 * is carried out has a new stamp.
 *
 *   input = method (1 byte: odd: POST) path, newline, query, newline, body
 */
#include "edge/admin/api_handlers.h"
#include "edge/admin/api_url.h"
#include "edge/admin/metrics.h"
#include "policy/load.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <sys/mman.h>

static const char text[] = "renderer: http://127.0.0.1:1\nhosts: [shop.example]\n"
                           "routes: [{match: /p/**, query: {keep: [q]}}, {match: /**, ttl: 1m}]\n"
                           "vary: {accept-language: {choose: [en, de], default: en}}\n";
static struct server server;
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
    server.mode = &mode;
    const struct cache_config config = {.memory_bytes = 4 << 20,
                                        .max_object_bytes = 1 << 20,
                                        .max_variants = 8,
                                        .purges = server.purges};
    server.cache = cache_open(&config, error);
    MUST(server.metrics && server.marks && server.cache);
    store_page();
    return 0;
}

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

static void ask(struct api_job *job)
{
    uint64_t before = purge_stamp(server.purges);
    MUST(job->handler(job) && job->answer);
    json_t *json = json_loads(job->answer, JSON_ALLOW_NUL, NULL);
    MUST(json_is_object(json));
    MUST(job->status == 200 || json_is_string(json_object_get(json, "detail")));
    if (job->handler == api_purge)
        check_purge(job, json, before);
    else
        MUST(purge_stamp(server.purges) == before);
    json_decref(json);
    free(job->answer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 16384 ? size : 16384);
    struct api_job job = {.server = &server};
    arena_init(&job.arena);
    enum method method = take_byte(&input) & 1 ? METHOD_POST : METHOD_GET;
    job.path = take_line(&input);
    job.query = take_line(&input);
    job.body = input;
    job.handler = api_handler(method, job.path, &job.allow);
    MUST(!job.handler || job.allow.len == 0);
    if (job.handler == api_purge || job.handler == api_explain || job.handler == api_variants ||
        job.handler == api_mode || job.handler == api_set_mode)
        ask(&job);
    arena_fini(&job.arena);
    return 0;
}
