/*
 * Purge records: rule by rule, against a naive model, over processes, kills, torn and damaged
 * files.
 */
#include "cache/purge.h"

#include "base/arena.h"
#include "base/must.h"
#include "cache/key.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const wall_time now = {1800000000000};
static char directory[64], file_path[96];

/* --- helpers --- */

static void *region_make(void)
{
    void *region = mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    MUST(region != MAP_FAILED);
    purge_table_init(region);
    return region;
}

static void region_drop(void *region)
{
    munmap(region, purge_table_bytes());
}

static struct purge_table *attach(void *region, const char *path)
{
    char error[256] = "";
    struct purge_table *table = purge_attach(region, slice_of_string(path), false, now, error);
    if (!table)
        fail_msg("%s", error);
    return table;
}

struct fixture {
    void *region;
    struct purge_table *table;
};

static struct fixture fixture_open(const char *path)
{
    struct fixture f = {.region = region_make()};
    f.table = attach(f.region, path);
    return f;
}

static void fixture_close(struct fixture *f)
{
    purge_detach(f->table);
    region_drop(f->region);
}

static struct purge_order order_url(const char *host, const char *path)
{
    return (struct purge_order){
        .kind = PURGE_URL, .host = slice_of_string(host), .path = slice_of_string(path)};
}

static struct purge_order order_tag(const char *tag)
{
    return (struct purge_order){.kind = PURGE_TAG, .tag = slice_of_string(tag)};
}

static uint64_t add(struct purge_table *table, struct purge_order order)
{
    uint64_t stamp = 0;
    assert_int_equal(purge_add(table, &order, now, &stamp), 0);
    assert_true(stamp > 0);
    assert_true(purge_stamp(table) >= stamp);
    return stamp;
}

static struct purge_subject subject_url(const char *host, const char *path, uint64_t stamp)
{
    return (struct purge_subject){
        .host = slice_of_string(host), .path = slice_of_string(path), .stamp = stamp};
}

static enum purge_state check_url(const struct purge_table *table, const char *host,
                                  const char *path, uint64_t stamp)
{
    struct purge_subject subject = subject_url(host, path, stamp);
    return purge_check(table, &subject);
}

static enum purge_state check_tag(const struct purge_table *table, const char *tag, uint64_t stamp)
{
    uint64_t hashes[2] = {purge_tag_hash(SLICE("other")), purge_tag_hash(slice_of_string(tag))};
    struct purge_subject subject = subject_url("h", "/x", stamp);
    subject.tag_hashes = hashes;
    subject.tag_count = 2;
    return purge_check(table, &subject);
}

static off_t file_size(const char *path)
{
    struct stat status;
    return stat(path, &status) == 0 ? status.st_size : -1;
}

static void file_write(const char *path, const void *bytes, size_t count)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, count), count);
    close(fd);
}

static void file_flip(const char *path, off_t offset)
{
    char byte;
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, offset), 1);
    byte = (char)(byte ^ 0x10);
    assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
    close(fd);
}

static int setup(void **unused)
{
    (void)unused;
    snprintf(directory, sizeof(directory), "/tmp/varve-purge-XXXXXX");
    MUST(mkdtemp(directory) != NULL);
    snprintf(file_path, sizeof(file_path), "%s/purges", directory);
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    char path[128];
    static const char *const names[] = {"purges", "purges.lock", "purges.new"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* --- matching, rule by rule --- */

static void test_6_2_a_record_kills_what_is_older_and_spares_what_is_newer(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    uint64_t stamp = add(f.table, order_url("h", "/a"));
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/a", stamp - 1), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/a", stamp), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/a", stamp + 1), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_6_2_a_request_sent_after_the_purge_is_spared_and_one_before_is_not(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t sent_before = purge_stamp(f.table);
    add(f.table, order_tag("t"));
    uint64_t sent_after = purge_stamp(f.table);
    add(f.table, order_tag("u"));
    assert_int_equal(check_tag(f.table, "t", sent_before), PURGE_DEAD);
    assert_int_equal(check_tag(f.table, "t", sent_after), PURGE_ALIVE);
    assert_int_equal(check_tag(f.table, "u", sent_after), PURGE_DEAD);
    fixture_close(&f);
}

static void test_6_2_soft_makes_stale_and_hard_is_stronger_in_either_order(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    struct purge_order soft = order_url("h", "/a");
    soft.is_soft = true;
    add(f.table, soft);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_SOFT);
    uint64_t hard = add(f.table, order_url("h", "/a"));
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    add(f.table, soft);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/a", hard), PURGE_SOFT);
    fixture_close(&f);
}

static void test_6_4_a_url_is_host_path_and_query_and_nothing_else(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    add(f.table, order_url("h", "/a"));
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "H", "/a", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/ab", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h/", "a", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "", "h/a", before), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_1_1_no_query_is_not_an_empty_query_for_a_purge(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    struct purge_subject plain = subject_url("h", "/a", purge_stamp(f.table));
    struct purge_subject empty = plain, one = plain;
    empty.has_query = one.has_query = true;
    one.query = SLICE("x=1");
    struct purge_order order = order_url("h", "/a");
    order.has_query = true;
    add(f.table, order);
    assert_int_equal(purge_check(f.table, &plain), PURGE_ALIVE);
    assert_int_equal(purge_check(f.table, &empty), PURGE_DEAD);
    assert_int_equal(purge_check(f.table, &one), PURGE_ALIVE);
    order.query = SLICE("x=1");
    add(f.table, order);
    assert_int_equal(purge_check(f.table, &one), PURGE_DEAD);
    assert_int_equal(purge_check(f.table, &plain), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_6_2_a_prefix_covers_its_host_s_paths_with_any_query(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    struct purge_order order = order_url("h", "/blog");
    order.kind = PURGE_PREFIX;
    uint64_t stamp = add(f.table, order);
    assert_int_equal(check_url(f.table, "h", "/blog", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/blog/1", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/blo", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/news", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "other", "/blog", before), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/blog", stamp), PURGE_ALIVE);
    struct purge_subject with_query = subject_url("h", "/blog/2", before);
    with_query.has_query = true;
    with_query.query = SLICE("q");
    assert_int_equal(purge_check(f.table, &with_query), PURGE_DEAD);
    assert_int_equal(purge_stats(f.table).prefixes, 1);
    add(f.table, order);
    assert_int_equal(purge_stats(f.table).prefixes, 1);
    fixture_close(&f);
}

static void test_6_2_tag_host_and_all_cover_what_they_name(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    uint64_t tag = add(f.table, order_tag("t1"));
    assert_int_equal(check_tag(f.table, "t1", before), PURGE_DEAD);
    assert_int_equal(check_tag(f.table, "t2", before), PURGE_ALIVE);
    uint64_t host =
        add(f.table, (struct purge_order){.kind = PURGE_HOST, .host = SLICE("a.example")});
    assert_int_equal(check_url(f.table, "a.example", "/", tag), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "b.example", "/", tag), PURGE_ALIVE);
    add(f.table, (struct purge_order){.kind = PURGE_ALL, .is_soft = true});
    assert_int_equal(check_url(f.table, "b.example", "/", host), PURGE_SOFT);
    assert_int_equal(check_url(f.table, "a.example", "/", before), PURGE_DEAD);
    add(f.table, (struct purge_order){.kind = PURGE_ALL});
    assert_int_equal(check_url(f.table, "b.example", "/", host), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "b.example", "/", purge_stamp(f.table)), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_3_3_only_the_kinds_that_were_asked_for_are_matched(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t hash = purge_tag_hash(SLICE("t"));
    struct purge_subject subject = subject_url("h", "/a", purge_stamp(f.table));
    subject.tag_hashes = &hash;
    subject.tag_count = 1;
    struct purge_order orders[PURGE_KIND_COUNT] = {
        order_url("h", "/a"), order_url("h", "/"), order_tag("t"), order_url("h", ""), {0}};
    for (unsigned kind = 0; kind < PURGE_KIND_COUNT; kind++) {
        orders[kind].kind = (enum purge_kind)kind;
        subject.stamp = purge_stamp(f.table);
        add(f.table, orders[kind]);
        assert_int_equal(purge_check_kinds(f.table, &subject, 1u << kind), PURGE_DEAD);
        unsigned others = ((1u << PURGE_KIND_COUNT) - 1) & ~(1u << kind);
        assert_int_equal(purge_check_kinds(f.table, &subject, others), PURGE_ALIVE);
    }
    fixture_close(&f);
}

/* --- stamps --- */

static void test_6_2_stamps_follow_the_wall_clock_and_never_go_back(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    struct purge_order order = order_url("h", "/");
    assert_true(purge_stamp(f.table) == (uint64_t)now.ms << 16);
    uint64_t first = 0, second = 0, third = 0;
    assert_int_equal(purge_add(f.table, &order, now, &first), 0);
    assert_int_equal(purge_add(f.table, &order, (wall_time){now.ms - 5000}, &second), 0);
    assert_int_equal(second, first + 1);
    assert_int_equal(purge_add(f.table, &order, (wall_time){now.ms + 1}, &third), 0);
    assert_true(third == (uint64_t)(now.ms + 1) << 16);
    assert_int_equal(purge_add(f.table, &order, (wall_time){INT64_MIN}, &second), 0);
    assert_int_equal(second, third + 1);
    fixture_close(&f);
}

static void test_6_3_the_stamp_is_raised_to_what_the_store_has_seen(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t seen = purge_stamp(f.table) + 123456789;
    purge_raise(f.table, seen, now);
    assert_true(purge_stamp(f.table) == seen);
    purge_raise(f.table, 5, now);
    assert_true(purge_stamp(f.table) == seen);
    purge_raise(f.table, UINT64_MAX, now); /* a damaged store must not end all purging */
    uint64_t before = purge_stamp(f.table);
    add(f.table, order_url("h", "/"));
    assert_int_equal(check_url(f.table, "h", "/", before), PURGE_DEAD);
    purge_raise(f.table, 0, (wall_time){now.ms + 1000000});
    assert_true(purge_stamp(f.table) == (uint64_t)(now.ms + 1000000) << 16);
    fixture_close(&f);
}

/* --- limits --- */

static void test_6_3_a_store_that_has_seen_the_last_stamps_leaves_the_file_readable(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    purge_raise(f.table, ((uint64_t)1 << 63) - 2, now); /* a damaged one */
    uint64_t before = purge_stamp(f.table);
    for (int i = 0; i < 3; i++)
        add(f.table, order_url("h", "/a"));
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_6_3_a_prefix_beyond_the_thousandth_purges_its_host(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table);
    for (int i = 0; i < 1000; i++) {
        char path[32];
        snprintf(path, sizeof(path), "/p%d/", i);
        struct purge_order order = order_url("h", path);
        order.kind = PURGE_PREFIX;
        add(f.table, order);
    }
    assert_int_equal(purge_stats(f.table).overflows, 0);
    assert_int_equal(check_url(f.table, "h", "/p999/x", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/q", before), PURGE_ALIVE);
    struct purge_order beyond = order_url("h", "/beyond");
    beyond.kind = PURGE_PREFIX;
    add(f.table, beyond);
    assert_int_equal(purge_stats(f.table).prefixes, 1000);
    assert_int_equal(purge_stats(f.table).overflows, 1);
    assert_int_equal(check_url(f.table, "h", "/q", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "g", "/q", before), PURGE_ALIVE);
    struct fixture again = fixture_open(file_path); /* the file says so too */
    assert_int_equal(check_url(again.table, "h", "/q", before), PURGE_DEAD);
    assert_int_equal(check_url(again.table, "g", "/q", before), PURGE_ALIVE);
    fixture_close(&again);
    fixture_close(&f);
}

static uint64_t add_numbered(struct purge_table *table, unsigned number)
{
    char path[32];
    snprintf(path, sizeof(path), "/%u", number);
    return add(table, order_url("h", path));
}

static void test_6_3_when_full_the_older_half_becomes_the_floor(void **unused)
{
    (void)unused;
    enum { FULL = 262144 };
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table), middle = 0, stamp = 0;
    for (unsigned i = 0; i < FULL; i++) {
        stamp = add_numbered(f.table, i);
        if (i == FULL / 2 - 1)
            middle = stamp;
    }
    assert_int_equal(purge_stats(f.table).records, FULL);
    assert_int_equal(purge_stats(f.table).overflows, 0);
    assert_int_equal(purge_stats(f.table).floor_stamp, 0);
    assert_int_equal(check_url(f.table, "h", "/never purged", before), PURGE_ALIVE);
    add_numbered(f.table, 7); /* is there already: needs no room */
    assert_int_equal(purge_stats(f.table).overflows, 0);
    add_numbered(f.table, FULL);
    assert_int_equal(purge_stats(f.table).overflows, 1);
    assert_true(purge_stats(f.table).records <= FULL / 2 + 2);
    assert_true(purge_stats(f.table).floor_stamp >= middle);
    assert_true(purge_stats(f.table).floor_stamp < stamp);
    assert_int_equal(check_url(f.table, "h", "/never purged", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/never purged", stamp), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/0", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/262143", stamp - 1), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/7", stamp), PURGE_DEAD);
    fixture_close(&f);
}

static void fill_up(struct purge_table *table, unsigned hard, unsigned soft)
{
    char path[32];
    for (unsigned i = 0; i < hard + soft; i++) {
        snprintf(path, sizeof(path), "/%u", i);
        struct purge_order order = order_url("h", path);
        order.is_soft = i >= hard;
        add(table, order);
    }
}

static struct purge_order soft_url(const char *path)
{
    struct purge_order order = order_url("h", path);
    order.is_soft = true;
    return order;
}

/* Strangers can have as many soft records written as they like (6.1). */
static void
test_6_3_when_full_of_soft_records_nothing_dies_and_what_is_older_is_stale(void **unused)
{
    enum { FULL = 262144, HARD = 1000 };
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    fill_up(f.table, HARD, FULL - HARD);
    struct purge_table *with_file = attach(f.region, file_path);
    uint64_t full = purge_stamp(f.table);
    assert_int_equal(purge_stats(f.table).records, FULL);
    assert_int_equal(check_url(f.table, "h", "/never purged", before), PURGE_ALIVE);
    add(with_file, soft_url("/one more"));
    struct fixture again = fixture_open(file_path); /* the file says so too */
    struct purge_table *tables[] = {f.table, again.table};
    assert_int_equal(purge_stats(f.table).overflows, 1);
    for (size_t i = 0; i < 2; i++) {
        assert_true(purge_stats(tables[i]).records <= FULL / 2 + HARD + 2);
        assert_int_equal(purge_stats(tables[i]).floor_stamp, 0);
        assert_int_equal(check_url(tables[i], "h", "/never purged", before), PURGE_SOFT);
        assert_int_equal(check_url(tables[i], "h", "/never purged", full), PURGE_ALIVE);
        assert_int_equal(check_url(tables[i], "h", "/0", before), PURGE_DEAD);
        assert_int_equal(check_url(tables[i], "h", "/999", before), PURGE_DEAD);
        assert_int_equal(check_url(tables[i], "h", "/1000", before), PURGE_SOFT);
        assert_int_equal(check_url(tables[i], "h", "/262143", full - 1), PURGE_SOFT);
        assert_int_equal(check_url(tables[i], "h", "/one more", full), PURGE_SOFT);
    }
    fixture_close(&again);
    purge_detach(with_file);
    fixture_close(&f);
}

static void test_6_3_records_that_are_hard_and_soft_give_way_too(void **unused)
{
    enum { FULL = 262144 };
    (void)unused;
    struct fixture f = fixture_open("");
    uint64_t before = purge_stamp(f.table);
    fill_up(f.table, FULL, 0);
    uint64_t hard = purge_stamp(f.table);
    fill_up(f.table, 0, FULL); /* the same URLs */
    assert_int_equal(purge_stats(f.table).overflows, 0);
    add(f.table, soft_url("/one more"));
    assert_int_equal(purge_stats(f.table).overflows, 1);
    assert_true(purge_stats(f.table).records < FULL);
    assert_int_equal(check_url(f.table, "h", "/0", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/0", hard), PURGE_SOFT);
    assert_int_equal(check_url(f.table, "h", "/262143", hard - 1), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/one more", hard), PURGE_SOFT);
    fixture_close(&f);
}

static void test_6_3_forgotten_records_are_gone_and_newer_ones_stay(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table);
    uint64_t first = add(f.table, order_url("h", "/a"));
    uint64_t second = add(f.table, order_url("h", "/b"));
    off_t size = file_size(file_path);
    purge_forget(f.table, first);
    assert_int_equal(purge_stats(f.table).records, 1);
    assert_true(file_size(file_path) <= size);
    assert_int_equal(check_url(f.table, "h", "/b", first), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/c", first), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/c", before),
                     PURGE_DEAD); /* there is no such object */
    purge_forget(f.table, UINT64_MAX);
    assert_int_equal(purge_stats(f.table).records, 0);
    assert_int_equal(check_url(f.table, "h", "/c", second), PURGE_ALIVE);
    uint64_t third = add(f.table, order_url("h", "/c"));
    assert_int_equal(check_url(f.table, "h", "/c", second), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/c", third), PURGE_ALIVE);
    fixture_close(&f);
}

/* --- random operations against a naive model --- */

enum { MODEL_MAX = 3000, HOSTS = 3, PATHS = 12, TAGS = 10 };

struct model_record {
    struct purge_order order;
    uint64_t stamp;
};

struct model {
    struct model_record records[MODEL_MAX];
    size_t count;
    uint32_t seed;
};

static const char *const hosts[HOSTS] = {"a.example", "b.example", "b.example:8080"};
static const char *const paths[PATHS] = {"",      "/",      "/a",      "/a/",   "/a/b",  "/a/b/c",
                                         "/blog", "/blog/", "/blog/1", "/b%20", "/a/b/", "/B"};
static const char *const tags[TAGS] = {"", "t", "t1", "t2", "page", "a b", "x", "y", "z", "T"};
static const char *const queries[3] = {"", "x=1", "x=2"};

static uint32_t random_below(struct model *model, uint32_t limit)
{
    model->seed = model->seed * 1664525u + 1013904223u;
    return (model->seed >> 8) % limit;
}

static struct purge_order random_order(struct model *model)
{
    uint32_t roll = random_below(model, 100);
    struct purge_order order = {
        .kind = roll < 45   ? PURGE_URL
                : roll < 65 ? PURGE_PREFIX
                : roll < 96 ? PURGE_TAG
                : roll < 99 ? PURGE_HOST
                            : PURGE_ALL,
        .is_soft = random_below(model, 2),
        .host = slice_of_string(hosts[random_below(model, HOSTS)]),
        .path = slice_of_string(paths[random_below(model, PATHS)]),
        .has_query = random_below(model, 2),
        .tag = slice_of_string(tags[random_below(model, TAGS)]),
    };
    if (order.has_query)
        order.query = slice_of_string(queries[random_below(model, 3)]);
    return order;
}

static bool model_matches(const struct purge_order *order, const struct purge_subject *subject)
{
    bool is_host = slice_equal(order->host, subject->host);
    switch (order->kind) {
    case PURGE_URL:
        return is_host && slice_equal(order->path, subject->path) &&
               order->has_query == subject->has_query && slice_equal(order->query, subject->query);
    case PURGE_PREFIX:
        return is_host && slice_starts_with(subject->path, order->path);
    case PURGE_TAG:
        for (size_t i = 0; i < subject->tag_count; i++)
            if (subject->tag_hashes[i] == purge_tag_hash(order->tag))
                return true;
        return false;
    case PURGE_HOST:
        return is_host;
    default:
        return true;
    }
}

static enum purge_state model_check(const struct model *model, const struct purge_subject *subject)
{
    enum purge_state state = PURGE_ALIVE;
    for (size_t i = 0; i < model->count; i++) {
        const struct model_record *record = &model->records[i];
        if (record->stamp <= subject->stamp || !model_matches(&record->order, subject))
            continue;
        if (!record->order.is_soft)
            return PURGE_DEAD;
        state = PURGE_SOFT;
    }
    return state;
}

static uint64_t random_stamp(struct model *model)
{
    if (model->count == 0 || random_below(model, 20) == 0)
        return (uint64_t)now.ms << 16;
    size_t last = model->count < 40 ? model->count : 40; /* mostly: few records are newer */
    size_t i = random_below(model, 4) ? model->count - 1 - random_below(model, (uint32_t)last)
                                      : random_below(model, (uint32_t)model->count);
    return model->records[i].stamp + random_below(model, 2);
}

static void compare_random_subject(struct model *model, const struct purge_table *table)
{
    struct purge_order like = random_order(model);
    uint64_t hashes[3];
    struct purge_subject subject = {.host = like.host,
                                    .path = like.path,
                                    .query = like.query,
                                    .has_query = like.has_query,
                                    .tag_hashes = hashes,
                                    .tag_count = random_below(model, 4),
                                    .stamp = random_stamp(model)};
    for (size_t i = 0; i < subject.tag_count; i++)
        hashes[i] = purge_tag_hash(slice_of_string(tags[random_below(model, TAGS)]));
    assert_int_equal(purge_check(table, &subject), model_check(model, &subject));
}

static void test_6_2_random_purges_and_checks_agree_with_a_naive_model(void **unused)
{
    (void)unused;
    struct model *model = mem_alloc(sizeof(*model));
    model->seed = 20261122;
    struct fixture f = fixture_open(file_path);
    int64_t ms = now.ms;
    while (model->count < MODEL_MAX) {
        struct model_record *record = &model->records[model->count];
        record->order = random_order(model);
        ms += (int64_t)random_below(model, 5) - 2;
        assert_int_equal(purge_add(f.table, &record->order, (wall_time){ms}, &record->stamp), 0);
        model->count++;
        for (int i = 0; i < 5; i++)
            compare_random_subject(model, f.table);
        if (random_below(model, 300) == 0) { /* the machine restarts: only the file is left */
            fixture_close(&f);
            f = fixture_open(file_path);
        }
    }
    fixture_close(&f);
    free(model);
}

/* --- the file --- */

static void test_6_3_a_restart_replays_the_file(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table);
    struct purge_order prefix = order_url("h", "/p");
    prefix.kind = PURGE_PREFIX;
    prefix.is_soft = true;
    add(f.table, order_url("h", "/a"));
    add(f.table, prefix);
    uint64_t last = add(f.table, order_tag("t"));
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/p/q", before), PURGE_SOFT);
    assert_int_equal(check_tag(f.table, "t", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_ALIVE);
    assert_true(purge_stamp(f.table) >= last); /* start: max(wall, newest record) */
    fixture_close(&f);
}

static void test_6_3_an_append_that_a_kill_cut_off_is_cut_away(void **unused)
{
    (void)unused;
    for (off_t cut = 1; cut < 40; cut++) {
        unlink(file_path);
        struct fixture f = fixture_open(file_path);
        uint64_t before = purge_stamp(f.table);
        add(f.table, order_url("h", "/a"));
        off_t whole = file_size(file_path);
        add(f.table, order_url("h", "/never answered"));
        fixture_close(&f);
        assert_int_equal(truncate(file_path, whole + cut), 0);
        f = fixture_open(file_path);
        assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_ALIVE);
        add(f.table, order_url("h", "/b"));
        fixture_close(&f);
        f = fixture_open(file_path);
        assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/c", before), PURGE_ALIVE);
        fixture_close(&f);
    }
}

static void test_6_3_damage_kills_everything_older_and_nothing_newer(void **unused)
{
    (void)unused;
    for (off_t offset = 0; offset < 8 + 2 * 40; offset++) { /* the magic and two records */
        unlink(file_path);
        struct fixture f = fixture_open(file_path);
        uint64_t before = purge_stamp(f.table);
        add(f.table, order_url("h", "/a"));
        add(f.table, order_url("h", "/b"));
        fixture_close(&f);
        file_flip(file_path, offset);
        f = fixture_open(file_path);
        assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/c", before), PURGE_DEAD);
        uint64_t after = purge_stamp(f.table);
        assert_int_equal(check_url(f.table, "h", "/a", after), PURGE_ALIVE);
        fixture_close(&f);
        f = fixture_open(file_path); /* it was mended: nothing dies twice */
        assert_int_equal(check_url(f.table, "h", "/c", before), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/a", after), PURGE_ALIVE);
        fixture_close(&f);
    }
}

static void test_6_3_a_file_of_garbage_is_replaced(void **unused)
{
    (void)unused;
    static const char *const garbage[] = {"", "x", "varvepg", "varvepg2",
                                          "not a purge file at all"};
    uint64_t before = (uint64_t)now.ms << 16;
    for (size_t i = 0; i < sizeof(garbage) / sizeof(garbage[0]); i++) {
        file_write(file_path, garbage[i], strlen(garbage[i]));
        struct fixture f = fixture_open(file_path);
        assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
        uint64_t after = purge_stamp(f.table);
        add(f.table, order_url("h", "/a"));
        fixture_close(&f);
        f = fixture_open(file_path);
        assert_int_equal(check_url(f.table, "h", "/a", after), PURGE_DEAD);
        assert_int_equal(check_url(f.table, "h", "/b", after), PURGE_ALIVE);
        fixture_close(&f);
    }
}

static void test_6_3_the_file_stays_short_however_often_the_same_is_purged(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table), last = 0;
    add(f.table, order_url("h", "/once"));
    for (int i = 0; i < 10000; i++) {
        last = add(f.table, order_url("h", "/often"));
        assert_true(file_size(file_path) < 40 * 5000);
    }
    assert_int_equal(purge_stats(f.table).records, 2);
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/often", last - 1), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/often", last), PURGE_ALIVE);
    assert_int_equal(check_url(f.table, "h", "/once", before), PURGE_DEAD);
    assert_int_equal(purge_stats(f.table).floor_stamp, 0);
    fixture_close(&f);
}

static void test_6_3_an_appender_whose_file_was_replaced_opens_the_new_one(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table);
    struct purge_table *other = attach(f.region, file_path); /* as another worker has it */
    add(other, order_url("h", "/first"));
    uint64_t first = add(f.table, order_url("h", "/a"));
    purge_forget(f.table, first - 1); /* renames a new file into place */
    add(other, order_url("h", "/b"));
    purge_detach(other);
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", first - 1), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/b", first), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    fixture_close(&f);
}

static void test_6_3_a_file_that_was_deleted_is_written_anew_from_memory(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table);
    add(f.table, order_url("h", "/a"));
    unlink(file_path);
    add(f.table, order_url("h", "/b"));
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_DEAD);
    fixture_close(&f);
}

static void
test_6_4_a_purge_that_cannot_be_written_holds_in_memory_and_is_written_later(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table), stamp = 0;
    add(f.table, order_url("h", "/a"));
    struct rlimit old, small = {.rlim_cur = (rlim_t)file_size(file_path) + 3};
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    struct purge_order order = order_url("h", "/full");
    assert_int_not_equal(purge_add(f.table, &order, now, &stamp), 0);
    assert_int_equal(check_url(f.table, "h", "/full", before), PURGE_DEAD);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    add(f.table, order_url("h", "/b"));
    fixture_close(&f);
    f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/full", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/b", before), PURGE_DEAD);
    assert_int_equal(check_url(f.table, "h", "/c", before), PURGE_ALIVE);
    fixture_close(&f);
}

static void test_a_directory_that_is_not_there_is_an_error_with_a_line(void **unused)
{
    (void)unused;
    char error[256] = "";
    void *region = region_make();
    assert_null(purge_attach(region, SLICE("/nonexistent/purges"), false, now, error));
    assert_non_null(strstr(error, "/nonexistent/purges"));
    region_drop(region);
}

static void test_6_3_durability_sync_writes_and_replays_too(void **unused)
{
    (void)unused;
    char error[256];
    void *region = region_make();
    struct purge_table *table = purge_attach(region, slice_of_string(file_path), true, now, error);
    assert_non_null(table);
    uint64_t before = purge_stamp(table);
    add(table, order_url("h", "/a"));
    purge_detach(table);
    region_drop(region);
    struct fixture f = fixture_open(file_path);
    assert_int_equal(check_url(f.table, "h", "/a", before), PURGE_DEAD);
    fixture_close(&f);
}

/* --- processes --- */

static void test_6_3_another_process_sees_a_purge_at_once(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(file_path);
    uint64_t before = purge_stamp(f.table), stamp;
    struct purge_order order = order_url("h", "/child");
    pid_t child = fork();
    if (child == 0)
        _exit(purge_add(f.table, &order, now, &stamp));
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(purge_stamp(f.table) > before);
    assert_int_equal(check_url(f.table, "h", "/child", before), PURGE_DEAD);
    fixture_close(&f);
}

/* Purges /0, /1, … and writes each number to `fd` once it is acknowledged. Never returns. */
static void purge_until_killed(void *region, int fd)
{
    char error[256];
    struct purge_table *table = purge_attach(region, slice_of_string(file_path), false, now, error);
    for (unsigned i = 0; table; i++) {
        char path[32];
        uint64_t stamp;
        snprintf(path, sizeof(path), "/%u", i);
        struct purge_order order = order_url("h", path);
        if (purge_add(table, &order, now, &stamp) != 0 || write(fd, &i, sizeof(i)) != sizeof(i))
            break;
    }
    _exit(1);
}

/* Reads acknowledgements, kills after `limit` of them, returns how many there were. */
static unsigned kill_after(void *region, unsigned limit)
{
    int ends[2];
    MUST(pipe(ends) == 0);
    pid_t child = fork();
    if (child == 0)
        purge_until_killed(region, ends[1]);
    close(ends[1]);
    unsigned number, count = 0;
    while (read(ends[0], &number, sizeof(number)) == sizeof(number)) {
        count = number + 1;
        if (count == limit)
            kill(child, SIGKILL);
    }
    close(ends[0]);
    int status;
    waitpid(child, &status, 0);
    MUST(WIFSIGNALED(status));
    return count;
}

static void test_6_3_acknowledged_purges_hold_after_kill_9_in_the_midst(void **unused)
{
    (void)unused;
    uint64_t before = (uint64_t)now.ms << 16;
    for (unsigned round = 0; round < 25; round++) {
        unlink(file_path);
        void *region = region_make();
        unsigned count = kill_after(region, 1 + round * 211);
        struct purge_table *survivor =
            attach(region, file_path); /* the mutex may be a dead one's */
        struct fixture restarted = fixture_open(file_path);
        for (unsigned i = 0; i < count; i++) {
            char path[32];
            snprintf(path, sizeof(path), "/%u", i);
            assert_int_equal(check_url(survivor, "h", path, before), PURGE_DEAD);
            assert_int_equal(check_url(restarted.table, "h", path, before), PURGE_DEAD);
        }
        assert_int_equal(check_url(restarted.table, "h", "/none", before), PURGE_ALIVE);
        uint64_t stamp = add(survivor, order_url("h", "/after"));
        fixture_close(&restarted);
        purge_detach(survivor);
        region_drop(region);
        restarted = fixture_open(file_path);
        assert_int_equal(check_url(restarted.table, "h", "/after", stamp - 1), PURGE_DEAD);
        assert_int_equal(check_url(restarted.table, "h", "/none", before), PURGE_ALIVE);
        fixture_close(&restarted);
    }
}

/* --- threads --- */

#ifdef __SANITIZE_THREAD__
enum { ADDS = 400 }; /* it sees races without being lucky, and is slow */
#else
enum { ADDS = 1500 };
#endif
enum { ADDERS = 2, CHECKERS = 2, SLOWING_PREFIXES = 256 };

struct race {
    struct purge_table *table;
    _Atomic unsigned acknowledged[ADDERS];
    uint64_t before;
    atomic_int next_adder, failures;
};

static void thread_tag(char tag[32], int adder, unsigned i)
{
    snprintf(tag, 32, "/%d/%u", adder, i);
}

static void *add_many(void *arg)
{
    struct race *race = arg;
    int me = atomic_fetch_add(&race->next_adder, 1);
    for (unsigned i = 0; i < ADDS; i++) {
        char tag[32];
        uint64_t stamp;
        thread_tag(tag, me, i);
        struct purge_order order = order_tag(tag);
        if (purge_add(race->table, &order, now, &stamp) != 0)
            atomic_fetch_add(&race->failures, 1);
        atomic_store(&race->acknowledged[me], i + 1);
        if (i % 8 == 7) /* a floor that rises, below every subject: rebuilds under the readers */
            purge_forget(race->table, race->before - ADDS + i);
    }
    return NULL;
}

static void *check_many(void *arg)
{
    struct race *race = arg;
    uint32_t seed = 1;
    for (bool is_done = false; !is_done;) {
        is_done = true;
        for (int adder = 0; adder < ADDERS; adder++) {
            unsigned count = atomic_load(&race->acknowledged[adder]);
            char tag[32];
            is_done = is_done && count == ADDS;
            seed = seed * 1664525u + 1013904223u;
            thread_tag(tag, adder, count ? (seed >> 8) % count : 0);
            if (count && check_tag(race->table, tag, race->before) != PURGE_DEAD)
                atomic_fetch_add(&race->failures, 1);
            if (check_tag(race->table, "never", race->before) != PURGE_ALIVE)
                atomic_fetch_add(&race->failures, 1);
        }
    }
    return NULL;
}

/* Tags are matched after prefixes: with many of these a lookup takes long enough to be overtaken.
 */
static void add_slowing_prefixes(struct purge_table *table)
{
    for (unsigned i = 0; i < SLOWING_PREFIXES; i++) {
        char path[8];
        snprintf(path, sizeof(path), "%c%c", 'a' + i / 16, 'a' + i % 16);
        struct purge_order order = order_url("h", path);
        order.kind = PURGE_PREFIX;
        add(table, order);
    }
}

static void test_6_3_lookups_beside_purges_miss_no_acknowledged_record(void **unused)
{
    (void)unused;
    struct fixture f = fixture_open(""); /* faster, so more rebuilds */
    struct race race = {.table = f.table, .before = purge_stamp(f.table)};
    pthread_t threads[ADDERS + CHECKERS];
    add_slowing_prefixes(f.table);
    for (int i = 0; i < ADDERS + CHECKERS; i++)
        assert_int_equal(
            pthread_create(&threads[i], NULL, i < ADDERS ? add_many : check_many, &race), 0);
    for (int i = 0; i < ADDERS + CHECKERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(race.failures, 0);
    assert_int_equal(purge_stats(f.table).records, ADDERS * ADDS + SLOWING_PREFIXES);
    fixture_close(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_6_2_a_record_kills_what_is_older_and_spares_what_is_newer),
        TEST(test_6_2_a_request_sent_after_the_purge_is_spared_and_one_before_is_not),
        TEST(test_6_2_soft_makes_stale_and_hard_is_stronger_in_either_order),
        TEST(test_6_4_a_url_is_host_path_and_query_and_nothing_else),
        TEST(test_1_1_no_query_is_not_an_empty_query_for_a_purge),
        TEST(test_6_2_a_prefix_covers_its_host_s_paths_with_any_query),
        TEST(test_6_2_tag_host_and_all_cover_what_they_name),
        TEST(test_3_3_only_the_kinds_that_were_asked_for_are_matched),
        TEST(test_6_2_stamps_follow_the_wall_clock_and_never_go_back),
        TEST(test_6_3_the_stamp_is_raised_to_what_the_store_has_seen),
        TEST(test_6_3_a_store_that_has_seen_the_last_stamps_leaves_the_file_readable),
        TEST(test_6_3_a_prefix_beyond_the_thousandth_purges_its_host),
        TEST(test_6_3_when_full_the_older_half_becomes_the_floor),
        TEST(test_6_3_when_full_of_soft_records_nothing_dies_and_what_is_older_is_stale),
        TEST(test_6_3_records_that_are_hard_and_soft_give_way_too),
        TEST(test_6_3_forgotten_records_are_gone_and_newer_ones_stay),
        TEST(test_6_2_random_purges_and_checks_agree_with_a_naive_model),
        TEST(test_6_3_a_restart_replays_the_file),
        TEST(test_6_3_an_append_that_a_kill_cut_off_is_cut_away),
        TEST(test_6_3_damage_kills_everything_older_and_nothing_newer),
        TEST(test_6_3_a_file_of_garbage_is_replaced),
        TEST(test_6_3_the_file_stays_short_however_often_the_same_is_purged),
        TEST(test_6_3_an_appender_whose_file_was_replaced_opens_the_new_one),
        TEST(test_6_3_a_file_that_was_deleted_is_written_anew_from_memory),
        TEST(test_6_4_a_purge_that_cannot_be_written_holds_in_memory_and_is_written_later),
        TEST(test_a_directory_that_is_not_there_is_an_error_with_a_line),
        TEST(test_6_3_durability_sync_writes_and_replays_too),
        TEST(test_6_3_another_process_sees_a_purge_at_once),
        TEST(test_6_3_acknowledged_purges_hold_after_kill_9_in_the_midst),
        TEST(test_6_3_lookups_beside_purges_miss_no_acknowledged_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
