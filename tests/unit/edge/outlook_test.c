/* edge/admin/outlook.c: what would happen while the disk cannot say what is known of a URL. */
#include "edge/admin/outlook.h"

#include "cache/learned.h"
#include "edge/admin/api_url.h"
#include "edge/origin/origin.h"
#include "policy/load.h"
#include "tests/unit/tree.h"

#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cmocka.h>

/* While this is set, a read transaction cannot be renewed. */
static atomic_int renewal_error;
static int (*renew)(void *txn);

int mdb_txn_renew(void *txn)
{
    int error = atomic_load(&renewal_error);
    return error ? error : renew(txn);
}

static const char policy_text[] = "renderer: http://127.0.0.1:1\n"
                                  "hosts: [shop.example]\n"
                                  "routes: [{match: \"/**\"}]\n";

static struct cache *open_cache(const char *path)
{
    char error[256] = "";
    const struct cache_config config = {.path = slice_of_string(path),
                                        .store_bytes = 32 << 20,
                                        .memory_bytes = 8 << 20,
                                        .max_object_bytes = 1 << 20,
                                        .max_variants = 8};
    struct cache *cache = cache_open(&config, error);
    if (!cache)
        fail_msg("%s", error);
    return cache;
}

static void *new_region(void)
{
    void *region =
        mmap(NULL, slots_region_bytes(), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(region != MAP_FAILED);
    slots_region_init(region);
    return region;
}

static void check_outlook(struct server *server, const char *would, enum action action)
{
    struct arena arena;
    struct request request;
    struct outlook look = {.server = server, .arena = &arena, .request = &request};
    arena_init(&arena);
    assert_true(url_request(server, &arena, SLICE("http://shop.example/"), SLICE("http"), NULL, 0,
                            &request, &look.decision));
    outlook_take(&look);
    assert_string_equal(look.would, would);
    assert_int_equal(look.decision.action, action);
    assert_int_equal(look.reason, REASON_COLD);
    outlook_fini(&look);
    arena_fini(&arena);
}

static void test_2_5_a_url_whose_union_cannot_be_read_would_pass(void **state)
{
    static h2o_globalconf_t h2o;
    static struct loop loop;
    static struct diag diag;
    struct arena arena;
    struct mode_word mode = {0};
    char error[256] = "";
    char path[] = "/tmp/varve-outlook-XXXXXX";
    void *region = new_region();
    (void)state;
    assert_non_null(mkdtemp(path));
    h2o_config_init(&h2o);
    h2o_config_register_host(&h2o, h2o_iovec_init(H2O_STRLIT("default")), 65535);
    loop_init(&loop, 0, &h2o);
    arena_init(&arena);
    diag_init(&diag, &arena);
    struct policy *policy = policy_load_text(slice_of_string(policy_text), SLICE("t"), &diag);
    assert_non_null(policy);
    struct server server = {.policy = policy,
                            .mode = &mode,
                            .cache = open_cache(path),
                            .marks = marks_new(),
                            .learned = learned_new(policy->route_count),
                            .origins = origins_new(policy, &loop, 1, region, error)};
    assert_non_null(server.origins);
    atomic_store(&renewal_error, ENOMEM);
    check_outlook(&server, "pass", ACTION_PASS);
    atomic_store(&renewal_error, 0);
    check_outlook(&server, "render", ACTION_LOOKUP); /* it was read, and is cold */
    loop_stop(&loop);
    loop_run(&loop); /* what the origins began there */
    origins_leave(server.origins, &loop);
    origins_free(server.origins);
    loop_fini(&loop);
    h2o_config_dispose(&h2o);
    learned_free(server.learned);
    marks_free(server.marks);
    assert_true(cache_close(server.cache));
    munmap(region, slots_region_bytes());
    policy_free(policy);
    arena_fini(&arena);
    remove_tree(path);
}

int main(void)
{
    *(void **)&renew = dlsym(RTLD_NEXT, "mdb_txn_renew");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_2_5_a_url_whose_union_cannot_be_read_would_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
