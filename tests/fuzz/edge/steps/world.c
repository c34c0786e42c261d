#include "tests/fuzz/edge/steps/world.h"

#include "base/must.h"
#include "edge/admin/api.h"
#include "edge/admin/metrics.h"
#include "edge/admin/notes.h"
#include "edge/admin/request_log.h"
#include "edge/request/error_pages.h"
#include "edge/request/exchange.h"
#include "edge/request/invalidate.h"
#include "edge/request/outdated.h"
#include "policy/load.h"
#include "tests/fuzz/edge/steps/model.h"

#include "base/log.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

struct world world;

/* --- what is not looked at --- */

bool __wrap_api_may_debug(const struct api *api, const struct request *request);
void __wrap_request_log(struct exchange *ex);
void __wrap_log_line(enum log_level level, const char *phrase, const struct log_field *fields);

bool __wrap_api_may_debug(const struct api *api, const struct request *request)
{
    (void)api, (void)request;
    return false;
}

void __wrap_log_line(enum log_level level, const char *phrase, const struct log_field *fields)
{
    (void)level, (void)phrase, (void)fields;
}

/* One line per request, while the request is still there. */
void __wrap_request_log(struct exchange *ex)
{
    struct visit *visit = container_of(ex->request, struct visit, request);
    visit->logged++;
    MUST(ex->status != 0 && ex->request->id.len > 0);
}

/* --- life --- */

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void open_cache(void)
{
    char error[512] = "";
    struct server *server = &world.server;
    server->purges = purge_attach(world.purge_region, SLICE_NONE, false, world.now.wall, error);
    MUST(server->purges);
    struct cache_config config = {.path = slice_of_string(world.store),
                                  .store_bytes = world.policy->store_bytes,
                                  .memory_bytes = world.policy->memory_bytes,
                                  .max_object_bytes = world.policy->max_object_bytes,
                                  .max_variants = world.policy->max_variants,
                                  .purges = server->purges};
    server->cache = cache_open(&config, error);
    MUST(server->cache);
}

/*
 * Large tables are kept from one input to the next: what was marked before is over, since each
 * input begins on a later day of the monotonic clock, which only differences are taken of; and that
 * no flight is left is checked.
 */
static struct {
    struct flights *flights;
    struct marks *marks, *invalidations;
    struct admission *admission;
} tables;

static void drop_tables(void)
{
    flights_free(tables.flights);
    marks_free(tables.marks);
    marks_free(tables.invalidations);
    admission_free(tables.admission);
    tables.flights = NULL;
}

static void take_tables(struct server *server)
{
    if (!tables.flights) {
        tables.flights = flights_new();
        tables.marks = marks_new();
        tables.invalidations = marks_new();
        tables.admission = admission_new();
    }
    server->flights = tables.flights;
    server->marks = tables.marks;
    server->invalidations = tables.invalidations;
    server->admission = tables.admission;
}

/* Counted as ever, in memory of its own; nobody looks at it. */
static struct counters *counters(void)
{
    static struct counters *counters;
    if (!counters) {
        void *region = mem_alloc(counters_region_bytes());
        counters_region_init(region);
        counters = counters_attach(region);
    }
    return counters;
}

static struct mode_word mode;

static void start_server(const struct rules *rules)
{
    char error[512] = "";
    struct server *server = &world.server;
    memset(server, 0, sizeof(*server));
    world.rules = *rules;
    world.policy = rules_load(rules);
    server->policy = world.policy;
    mode_init(&mode, world.now.mono);
    mode_set(&mode, rules->spares_renderers ? MODE_SHELL : MODE_AUTO, world.now.mono);
    server->mode = &mode;
    server->counters = counters();
    server->metrics = metrics_new(server->counters, world.policy);
    server->notes = notes_new(world.policy);
    take_tables(server);
    server->learned = learned_new(world.policy->route_count);
    server->outdated = outdated_new(world.policy->origin_count);
    server->refreshes = mem_alloc(world.policy->origin_count * sizeof(*server->refreshes));
    server->error_pages = error_pages_new(world.policy, error);
    server->loops = &world.loop;
    server->loop_count = 1;
    server->started = world.now;
    open_cache();
}

/* At rest nothing may be left of what was asked. */
static void check_rest(void)
{
    struct server *server = &world.server;
    invalidate_now(&world.loop);
    MUST(flights_count(server->flights) == 0 && flights_buffered_bytes() == 0);
    MUST(calls_count() == 0);
    for (size_t i = 0; i < world.policy->origin_count; i++)
        MUST(atomic_load(&server->refreshes[i]) == 0);
    loop_check_empty();
}

static void stop_server(void)
{
    struct server *server = &world.server;
    check_rest();
    MUST(cache_close(server->cache));
    purge_detach(server->purges);
    learned_free(server->learned);
    metrics_free(server->metrics);
    notes_free(server->notes);
    outdated_free(server->outdated);
    free(server->refreshes);
    error_pages_free(server->error_pages);
}

void world_begin(const struct rules *rules)
{
    int64_t mono_ms = world.now.mono.ms + 86400000;
    memset(&world, 0, sizeof(world));
    world.now = (struct instant){{1700000000123}, {mono_ms}};
    world.evloop._now = 1000;
    world.loop.evloop = &world.evloop;
    world.purge_region = mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(world.purge_region != MAP_FAILED);
    purge_table_init(world.purge_region);
    if (rules->has_store) {
        snprintf(world.store, sizeof(world.store), "%s/varve-steps-XXXXXX",
                 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
        MUST(mkdtemp(world.store));
    }
    model_begin();
    start_server(rules);
}

void world_reload(const struct rules *rules)
{
    world_settle();
    stop_server();
    drop_tables();
    start_server(rules);
}

void world_end(void)
{
    world_settle();
    stop_server();
    munmap(world.purge_region, purge_table_bytes());
    if (world.store[0])
        nftw(world.store, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- what happens --- */

void world_run(void)
{
    for (unsigned steps = 0; loop_step() || sinks_step() || calls_step(); steps++)
        MUST(steps < 20000);
    if (world.store[0])
        cache_flush(world.server.cache);
}

void world_wait(int64_t ms)
{
    loop_advance(ms);
    world_run();
}

void world_visit(struct visit *visit)
{
    visit_make_request(visit, world.now);
    model_visit_began(visit);
    exchange_begin(&world.loop, (h2o_req_t *)(void *)visit, &visit->request, &world.server);
}

/* As the API makes them (semantics 6.4). */
void world_purge(const struct purge *purge)
{
    const struct target *target = purge->target;
    struct purge_order order = {.kind = purge->kind, .is_soft = purge->is_soft};
    uint64_t stamp;
    struct arena arena;
    arena_init(&arena);
    slice url = arena_printf(&arena, "%s://%s%s%s%s", target->scheme, target->host, target->path,
                             target->query ? "?" : "", target->query ? target->query : "");
    MUST(rules_purge_url(world.policy, &arena, url, SLICE_NONE, &order.host, &order.path,
                         &order.query, &order.has_query));
    order.tag = purge->tag == 1 ? SLICE("t1") : SLICE("t2");
    MUST(purge_add(world.server.purges, &order, world.now.wall, &stamp) == 0);
    model_purged(purge);
    arena_fini(&arena);
}

static bool is_all_over(void)
{
    for (unsigned i = 0; i < world.visit_count; i++)
        if (!world.visits[i].is_gone)
            return false;
    return calls_count() == 0;
}

void world_settle(void)
{
    for (unsigned i = 0; i < world.visit_count; i++)
        world.visits[i].is_stalled = false;
    world_run();
    for (unsigned rounds = 0; !is_all_over(); rounds++) {
        MUST(rounds < 1000);
        if (!calls_release(0))
            world_wait(1000);
        world_run();
    }
    for (unsigned i = 0; i < world.visit_count; i++)
        model_visit_is_over(&world.visits[i]);
}
