/* The disk tier alone: what is written is read back or not at all, whatever happens in between. */
#include "tests/unit/cache/store_help.h"

#include "cache/store.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const wall_time now = {1000000};
static const struct field_names no_names;

static struct store *open_sized(const char *path, uint64_t bytes, unsigned max_variants)
{
    char error[256] = "";
    const struct store_config config = {.path = slice_of_string(path),
                                        .max_bytes = bytes,
                                        .max_object_bytes = 64 << 20,
                                        .max_variants = max_variants};
    struct store *store = store_open(&config, error);
    if (!store)
        fail_msg("%s", error);
    return store;
}

static struct store *open_store(const char *path)
{
    return open_sized(path, 32 << 20, 8);
}

/* --- one object per transaction --- */

static enum store_outcome put_replacing(struct store *store, const struct recipe *r,
                                        const struct key *replaced)
{
    struct store_put put = {.object = object_make(r), .has_replaced = replaced != NULL};
    if (replaced)
        put.replaced = *replaced;
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_evict(store, r->body_bytes + 4096, 1000, now), 0);
    assert_int_equal(store_put(store, &put, now), 0);
    assert_int_equal(store_commit(store), 0);
    vary_record_unref(&put.disk);
    object_unref(&put.object);
    return put.outcome;
}

static enum store_outcome put(struct store *store, const struct recipe *r)
{
    return put_replacing(store, r, NULL);
}

static void grow(struct store *store, unsigned url, const struct field_names *names, bool is_reset,
                 bool is_known)
{
    struct key key = url_key_of(url);
    struct vary_record *change = vary_record_new(&key, names, is_known, NULL, 0), *disk;
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_write_vary(store, change, is_reset, now, &disk), 0);
    assert_int_equal(store_commit(store), 0);
    vary_record_unref(&change);
    vary_record_unref(&disk);
}

static struct object *get(struct store *store, unsigned url, unsigned variant, bool *is_damaged)
{
    struct store_reader *reader;
    struct object *object = NULL;
    struct key key = variant_key_of(url, variant);
    assert_int_equal(store_reader_open(store, &reader), 0);
    int rc = store_read_object(reader, &key, &object, is_damaged);
    assert_true(rc == 0 || rc == STORE_NOT_FOUND);
    store_reader_close(reader);
    return object;
}

static bool holds(struct store *store, const struct recipe *r)
{
    bool is_damaged;
    struct object *object = get(store, r->url, r->variant, &is_damaged);
    if (!object)
        return false;
    assert_int_equal(object_version(object), r->version);
    assert_true(body_is_of(object->bodies[CODING_IDENTITY], r));
    object_unref(&object);
    return true;
}

static struct vary_record *record_of(struct store *store, unsigned url)
{
    struct store_reader *reader;
    struct vary_record *record = NULL;
    struct key key = url_key_of(url);
    assert_int_equal(store_reader_open(store, &reader), 0);
    int rc = store_read_vary(reader, &key, &record);
    assert_true(rc == 0 || rc == STORE_NOT_FOUND);
    store_reader_close(reader);
    return record;
}

static size_t variants_of(struct store *store, unsigned url)
{
    struct vary_record *record = record_of(store, url);
    size_t count = record ? record->variant_count : 0;
    vary_record_unref(&record);
    return count;
}

/* --- reading back --- */

static void test_bodies_of_all_sizes_are_read_back(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    const size_t sizes[] = {0,    1,     7,     2000,  4080,   8175,   8176,
                            8177, 16352, 16353, 70000, 262144, 1500000};
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = sizes[i]};
        assert_int_equal(put(store, &r), STORE_WRITTEN);
        assert_true(holds(store, &r));
    }
    struct recipe again = {.url = 3, .version = 99, .body_bytes = 50};
    assert_int_equal(put(store, &again), STORE_WRITTEN); /* replaces */
    assert_true(holds(store, &again));
    assert_int_equal(store_stats(store).objects, sizeof(sizes) / sizeof(sizes[0]));
    assert_int_equal(variants_of(store, 3), 1);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_what_leaves_takes_its_bytes_along(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .body_bytes = 10};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    struct key key = variant_key_of(1, 0);
    uint64_t before = store_stats(store).bytes;
    for (unsigned i = 0; i < 5; i++) {
        struct recipe large = {.url = 2 + i, .body_bytes = 1000000};
        assert_int_equal(put(store, &large), STORE_WRITTEN);
    }
    assert_true(store_stats(store).bytes > before + 5000000);
    for (unsigned i = 0; i < 5; i++) {
        key = variant_key_of(2 + i, 0);
        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_remove(store, &key, now), 0);
        assert_int_equal(store_remove(store, &key, now), 0); /* not there: fine */
        assert_int_equal(store_commit(store), 0);
    }
    assert_int_equal(store_stats(store).bytes, before);
    assert_null(record_of(store, 2)); /* an empty union without variants says nothing */
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- Vary records --- */

static void test_2_5_growing_on_the_disk_drops_the_variants_of_the_smaller_union(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    const struct field_names a = names_of("a", NULL), ab = names_of("a", "b");
    struct recipe r = {.url = 1, .body_bytes = 100}, wide = {.url = 1, .names = &ab};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    grow(store, 1, &no_names, false, true); /* by nothing */
    assert_true(holds(store, &r));
    grow(store, 1, &a, false, true);
    assert_false(holds(store, &r));
    assert_int_equal(put(store, &r), STORE_OUTGROWN);
    assert_false(holds(store, &r));
    grow(store, 1, &ab, false, true);
    assert_int_equal(put(store, &wide), STORE_WRITTEN);
    struct vary_record *record = record_of(store, 1);
    assert_true(field_names_equal(&record->names, &ab));
    assert_int_equal(record->variant_count, 1);
    vary_record_unref(&record);
    grow(store, 1, &a, false, true); /* a writer that knows less takes nothing away */
    assert_true(holds(store, &wide));
    grow(store, 1, &no_names, true, false); /* reset */
    assert_null(record_of(store, 1));
    assert_false(holds(store, &wide));
    assert_int_equal(put(store, &wide), STORE_GONE); /* its union is not known any more */
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_2_5_a_replaced_variant_leaves_and_the_cap_holds(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_sized(path, 32 << 20, 3);
    struct recipe r[5];
    for (unsigned i = 0; i < 5; i++)
        r[i] = (struct recipe){.url = 1, .variant = i, .version = i, .body_bytes = 3000};
    struct key second = variant_key_of(1, 1);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(put(store, &r[i]), STORE_WRITTEN);
    assert_int_equal(put_replacing(store, &r[3], &second), STORE_WRITTEN);
    assert_true(holds(store, &r[0]) && !holds(store, &r[1]) && holds(store, &r[3]));
    assert_int_equal(put(store, &r[4]), STORE_WRITTEN); /* nobody said what gives way: the oldest */
    assert_true(!holds(store, &r[0]) && holds(store, &r[2]) && holds(store, &r[4]));
    assert_int_equal(variants_of(store, 1), 3);
    assert_int_equal(store_stats(store).objects, 3);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_2_5_records_without_variants_expire_after_seven_days(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    const struct field_names a = names_of("a", NULL);
    struct recipe r = {.url = 2, .names = &a};
    const int64_t week = (int64_t)7 * 24 * 3600 * 1000;
    bool is_crowded;
    grow(store, 1, &a, false, true);
    grow(store, 2, &a, false, true);
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    assert_int_equal(store_sweep_vary(store, (wall_time){now.ms + week}, &is_crowded), 0);
    struct vary_record *record = record_of(store, 1);
    assert_non_null(record);
    vary_record_unref(&record);
    assert_int_equal(store_sweep_vary(store, (wall_time){now.ms + week + 1}, &is_crowded), 0);
    assert_null(record_of(store, 1));
    assert_int_equal(variants_of(store, 2), 1); /* has one: stays */
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_records_without_variants_may_take_a_tenth_of_the_store(void **state)
{
    (void)state;
    enum { RECORDS = 40000 };
    const char *path = temp_directory();
    struct store *store = open_sized(path, 16 << 20, 8);
    const struct field_names names = names_of("accept-language", "x-a-name-that-takes-room");
    struct vary_record *disk;
    assert_int_equal(store_begin(store), 0);
    for (unsigned url = 0; url < RECORDS; url++) {
        struct key key = url_key_of(url);
        struct vary_record *record = vary_record_new(&key, &names, true, NULL, 0);
        assert_int_equal(store_write_vary(store, record, false, now, &disk), 0);
        vary_record_unref(&record);
        vary_record_unref(&disk);
    }
    assert_int_equal(store_commit(store), 0);
    bool is_crowded = true;
    unsigned rounds = 0;
    for (; is_crowded && rounds < 100; rounds++)
        assert_int_equal(store_sweep_vary(store, now, &is_crowded), 0);
    assert_true(rounds > 1 && !is_crowded);
    assert_true(store_stats(store).bytes < (16 << 20) / 8);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- updates --- */

static void test_4_7_an_update_adds_a_coding_and_keeps_the_body(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 30000}, other = r;
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    struct object *object = object_make(&r);
    struct blob *gzip = blob_new(9000);
    memset(gzip->bytes, 'z', gzip->len);
    struct store_put update = {.object = object_with_coding(object, CODING_GZIP, gzip)};
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_update(store, &update), 0);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(update.outcome, STORE_WRITTEN);
    bool is_damaged;
    struct object *read = get(store, 1, 0, &is_damaged);
    assert_non_null(read);
    assert_true(body_is_of(read->bodies[CODING_IDENTITY], &r));
    assert_memory_equal(read->bodies[CODING_GZIP]->bytes, gzip->bytes, 9000);
    object_unref(&read);
    /* another page has been stored under the key meanwhile: its body is not the update's */
    other.version = 2;
    assert_int_equal(put(store, &other), STORE_WRITTEN);
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_update(store, &update), 0);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(update.outcome, STORE_GONE);
    assert_true(holds(store, &other));
    object_unref(&update.object);
    object_unref(&object);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- eviction --- */

static void test_8_churn_keeps_the_newest_within_the_size(void **state)
{
    (void)state;
    enum { ROUNDS = 9000 }; /* about 5 times the store */
    const char *path = temp_directory();
    struct store *store = open_store(path);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = (i * 7919) % 40000};
        assert_int_equal(put(store, &r), STORE_WRITTEN);
        assert_true(store_stats(store).bytes <= (uint64_t)(32 << 20) / 100 * 90);
        if (i >= 100 && i % 50 == 0) {
            struct recipe recent = {
                .url = i - 100, .version = i - 100, .body_bytes = ((i - 100) * 7919) % 40000};
            assert_true(holds(store, &recent));
        }
    }
    assert_true(store_stats(store).evictions > ROUNDS / 2);
    struct recipe first = {.url = 0};
    assert_false(holds(store, &first));
    assert_null(record_of(store, 0)); /* its record went with it */
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void fill(struct store *store, unsigned *next, unsigned count)
{
    for (unsigned i = 0; i < count; i++, ++*next) {
        struct recipe r = {.url = *next, .version = *next, .body_bytes = 20000};
        assert_int_equal(put(store, &r), STORE_WRITTEN);
    }
}

static void hit(struct store *store, unsigned url)
{
    struct key key = variant_key_of(url, 0);
    store_note_hit(store, &key);
}

static void test_8_an_object_that_is_asked_for_is_reinserted_twice(void **state)
{
    (void)state;
    enum { ROTATION = 1500 }; /* some 1 400 fit */
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe hot = {.url = 0, .version = 0, .body_bytes = 20000};
    struct recipe cold = {.url = 1, .version = 1, .body_bytes = 20000};
    unsigned next = 0;
    fill(store, &next, 10);
    unsigned rounds = 0;
    for (; rounds < 5 && holds(store, &hot); rounds++) {
        hit(store, 0);
        fill(store, &next, ROTATION);
    }
    assert_int_equal(rounds, 1 + STORE_REINSERT_MAX);
    assert_false(holds(store, &cold));
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* Looks at the oldest one only, however much room there is. */
static void evict_oldest(struct store *store, bool is_kept)
{
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_evict(store, UINT64_MAX / 2, 1, now), 0);
    if (is_kept)
        assert_int_equal(store_commit(store), 0);
    else
        store_abort(store);
}

static void test_8_a_transaction_that_is_given_up_forgets_no_hit(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 0, .version = 0, .body_bytes = 20000};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    hit(store, 0);
    evict_oldest(store, false);
    evict_oldest(store, true);
    assert_true(holds(store, &r));
    evict_oldest(store, true); /* the hit has been used up */
    assert_false(holds(store, &r));
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* So many of the URLs from `first` on are there. */
static unsigned count_held(struct store *store, unsigned first, unsigned count)
{
    unsigned held = 0;
    for (unsigned i = first; i < first + count; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = 20000};
        held += holds(store, &r);
    }
    return held;
}

static void fill_kept(struct store *store, unsigned first, unsigned count, uint32_t keep_old_s)
{
    for (unsigned i = first; i < first + count; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = 20000, .keep_old_s = keep_old_s};
        assert_int_equal(put(store, &r), STORE_WRITTEN);
    }
}

static void test_5_5_what_is_kept_old_is_evicted_last(void **state)
{
    (void)state;
    enum { KEPT = 300, LAPSED = 50, OTHERS = 6000 }; /* some 1 400 fit */
    const char *path = temp_directory();
    struct store *store = open_store(path);
    unsigned next = 1000;
    fill_kept(store, 0, KEPT, 7 * 86400);
    fill_kept(store, KEPT, LAPSED, 999); /* `now` is a thousand seconds, they are from its start */
    fill(store, &next, OTHERS);
    assert_int_equal(count_held(store, 0, KEPT), KEPT);
    assert_int_equal(count_held(store, KEPT, LAPSED), 0);
    assert_true(store_stats(store).bytes <= (uint64_t)(32 << 20) / 100 * 90);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_5_5_what_is_kept_old_goes_when_nothing_else_is_to_be_had(void **state)
{
    (void)state;
    enum { KEPT = 6000, PAGES = 100 };
    const char *path = temp_directory();
    struct store *store = open_store(path);
    unsigned next = 10000;
    fill_kept(store, 0, KEPT, 7 * 86400); /* each of them is stored */
    assert_true(count_held(store, 0, KEPT) > 1000);
    assert_true(store_stats(store).evictions > KEPT / 2);
    fill(store, &next, PAGES); /* and others still find room */
    assert_true(count_held(store, next - 50, 50) == 50);
    assert_true(store_stats(store).bytes <= (uint64_t)(32 << 20) / 100 * 95);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_a_full_map_makes_room_and_goes_on(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    unsigned next = 0;
    fill(store, &next, 2000);
    uint64_t before = store_stats(store).bytes, target = store_stats(store).target_bytes;
    assert_int_equal(store_make_room(store, now), 0);
    assert_true(store_stats(store).target_bytes < target);
    assert_true(store_stats(store).bytes <= store_stats(store).target_bytes);
    assert_true(store_stats(store).bytes < before);
    /* one transaction larger than the map fails, and nothing of it remains */
    struct store_put big = {.object = NULL};
    int rc = store_begin(store);
    for (unsigned i = 0; !rc && i < 4000; i++) {
        struct recipe r = {.url = 100000 + i, .body_bytes = 20000};
        big = (struct store_put){.object = object_make(&r)};
        rc = store_put(store, &big, now);
        object_unref(&big.object);
    }
    assert_int_equal(rc, STORE_FULL);
    store_abort(store);
    assert_int_equal(store_make_room(store, now), 0);
    struct recipe last = {.url = next - 1, .version = next - 1, .body_bytes = 20000};
    struct recipe lost = {.url = 100000, .body_bytes = 20000};
    assert_true(holds(store, &last));
    assert_false(holds(store, &lost));
    fill(store, &next, 2000);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_6_3_the_oldest_stamp_rises_with_eviction(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    uint64_t stamp;
    assert_int_equal(store_oldest_stamp(store, &stamp), 0);
    assert_true(stamp == UINT64_MAX);
    struct recipe r = {.url = 1, .stamp = 500};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    assert_int_equal(store_oldest_stamp(store, &stamp), 0);
    assert_true(stamp <= 500);
    assert_int_equal(store_newest_stamp(store), 500);
    assert_int_equal(store_close(store), 0);
    store = open_store(path);
    assert_int_equal(store_newest_stamp(store), 500); /* over a restart */
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static enum store_outcome update(struct store *store, struct object *object)
{
    struct store_put put = {.object = object};
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_update(store, &put), 0);
    assert_int_equal(store_commit(store), 0);
    return put.outcome;
}

static void test_6_3_the_newest_stamp_rises_with_what_is_refreshed_or_checked(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 100, .stamp = 5};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    r.stamp = 9;
    struct object *refreshed = object_make(&r);
    assert_int_equal(update(store, refreshed), STORE_WRITTEN);
    assert_int_equal(store_newest_stamp(store), 9);
    atomic_store(&refreshed->checked_stamp, 12);
    assert_int_equal(update(store, refreshed), STORE_WRITTEN);
    assert_int_equal(store_newest_stamp(store), 12);
    object_unref(&refreshed);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* During a reload each worker may have a 304 for the page: the newer one holds, whoever writes
 * last. */
static void test_5_3_a_clock_that_was_set_back_does_not_make_an_update_old(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .body_bytes = 3000, .response_ms = 9000, .mono_ms = 100};
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    r.response_ms = 5000;
    r.mono_ms = 200;
    struct object *refreshed = object_make(&r);
    assert_int_equal(update(store, refreshed), STORE_WRITTEN);
    object_unref(&refreshed);
    bool is_damaged;
    struct object *read = get(store, 1, 0, &is_damaged);
    assert_int_equal(read->facts.response_time.ms, 5000);
    object_unref(&read);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_9_1_an_older_update_does_not_undo_a_newer_one(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .body_bytes = 3000, .response_ms = 1000, .stamp = 5};
    struct recipe newer = r, older = r;
    newer.response_ms = 3000;
    newer.stamp = 30;
    older.response_ms = 2000;
    older.stamp = 20;
    assert_int_equal(put(store, &r), STORE_WRITTEN);
    struct object *objects[] = {object_make(&newer), object_make(&older), NULL};
    struct blob *gzip = blob_new(100);
    memset(gzip->bytes, 'g', gzip->len);
    objects[2] = object_with_coding(objects[1], CODING_GZIP, gzip);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(update(store, objects[i]), STORE_WRITTEN);
        object_unref(&objects[i]);
        bool is_damaged;
        struct object *read = get(store, 1, 0, &is_damaged);
        assert_non_null(read);
        assert_int_equal(read->facts.response_time.ms, 3000);
        assert_int_equal(atomic_load(&read->checked_stamp), 30);
        assert_int_equal(read->bodies[CODING_GZIP] != NULL, i == 2); /* a coding is one more */
        object_unref(&read);
    }
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- an environment that cannot go on as it is --- */

enum { SMALL = 16 << 20, LARGE = 64 << 20 };

/* Writes behind the end of a small map; _exit() is how it reports. */
static void be_the_new_worker(const char *path, int wait_fd, unsigned count)
{
    char byte;
    MUST(read(wait_fd, &byte, 1) == 1);
    struct store *store = open_sized(path, LARGE, 8);
    for (unsigned i = 0; i < count; i++) {
        struct recipe r = {.url = 100 + i, .version = i, .body_bytes = 20000};
        MUST(put(store, &r) == STORE_WRITTEN);
    }
    _exit(store_close(store) == 0 ? 0 : 1);
}

static void test_9_2_a_store_that_another_process_made_larger_is_read_and_written(void **state)
{
    (void)state;
    enum { COUNT = 1200 }; /* twice what the small one holds */
    const char *path = temp_directory();
    int go[2], status;
    assert_int_equal(pipe(go), 0);
    pid_t child = fork();
    if (child == 0)
        be_the_new_worker(path, go[0], COUNT);
    struct store *store = open_sized(path, SMALL, 8);
    struct store_reader *reader;
    struct recipe old = {.url = 1, .version = 1, .body_bytes = 20000}, new = {.url = 2};
    struct recipe last = {.url = 100 + COUNT - 1, .version = COUNT - 1, .body_bytes = 20000};
    struct key url_key = url_key_of(1);
    struct vary_record *record = NULL;
    assert_int_equal(put(store, &old), STORE_WRITTEN);
    assert_int_equal(store_reader_open(store, &reader), 0); /* before: its map is the small one */
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(store_read_vary(reader, &url_key, &record), 0);
    vary_record_unref(&record);
    store_reader_close(reader);
    assert_true(holds(store, &old) && holds(store, &last));
    assert_int_equal(put(store, &new), STORE_WRITTEN);
    assert_true(holds(store, &new));
    assert_true(holds(store, &old)); /* the new process's room is its own now */
    assert_int_equal(store_stats(store).objects, COUNT + 2);
    assert_int_equal(store_close(store), 0);
    close(go[0]);
    close(go[1]);
    remove_tree(path);
}

/* LMDB's writes of its meta pages, the first two of the file, fail while this is set. */
static bool meta_pages_fail;

static bool fails(off_t at)
{
    enum { META_BYTES = 2 * 4096 };
    errno = EIO;
    return meta_pages_fail && at < META_BYTES;
}

ssize_t pwrite(int fd, const void *bytes, size_t len, off_t at)
{
    return fails(at) ? -1 : (ssize_t)syscall(SYS_pwrite64, fd, bytes, len, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
    return pwrite(fd, bytes, len, at);
}

static void test_9_4_a_store_whose_meta_page_could_not_be_written_is_opened_again(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe before = {.url = 1, .body_bytes = 20000}, after = {.url = 2, .body_bytes = 300};
    struct store_reader *reader;
    struct vary_record *record = NULL;
    struct key url_key = url_key_of(1);
    assert_int_equal(put(store, &before), STORE_WRITTEN);
    assert_int_equal(store_reader_open(store, &reader), 0);
    struct store_put lost = {.object = object_make(&after)};
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_put(store, &lost, now), 0);
    meta_pages_fail = true;
    assert_int_equal(store_commit(store), EIO);
    meta_pages_fail = false;
    object_unref(&lost.object);
    assert_int_equal(store_read_vary(reader, &url_key, &record), 0);
    vary_record_unref(&record);
    assert_true(holds(store, &before) && !holds(store, &after));
    assert_int_equal(put(store, &after), STORE_WRITTEN);
    assert_true(holds(store, &before) && holds(store, &after));
    store_reader_close(reader);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- large bodies --- */

static void test_9_4_a_body_without_its_row_is_removed_at_the_next_start(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .body_bytes = 2000000}, small = {.url = 2, .body_bytes = 100};
    assert_int_equal(put(store, &small), STORE_WRITTEN);
    uint64_t before = store_stats(store).bytes, sequence = 0;
    struct blob *body = body_make(&r);
    slice bytes = slice_of(body->bytes, body->len);
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_body_begin(store, &sequence), 0);
    assert_int_equal(store_body_part(store, sequence, CODING_IDENTITY, bytes, 0, 8176 * 100), 0);
    assert_int_equal(store_commit(store), 0);
    assert_true(store_stats(store).bytes > before + 800000);
    assert_int_equal(store_close(store), 0); /* as if it had crashed here */
    store = open_store(path);
    assert_true(store_stats(store).bytes <= before + 8192);
    assert_true(holds(store, &small));
    /* the writer of that body finds out, should it still live */
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(
        store_body_part(store, sequence, CODING_IDENTITY, bytes, 8176 * 100, 8176 * 100),
        STORE_NOT_FOUND);
    store_abort(store);
    blob_unref(&body);
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

static void test_9_4_a_body_in_parts_is_read_back_whoever_wrote_or_dropped_meanwhile(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe r = {.url = 1, .body_bytes = 2000000}, between = {.url = 2, .body_bytes = 9000};
    struct store_put put_large = {.object = object_make(&r)};
    const struct blob *body = put_large.object->bodies[CODING_IDENTITY];
    slice bytes = slice_of(body->bytes, body->len);
    uint64_t sequence = 0;
    for (size_t at = 0; at < bytes.len; at += 8176 * 50) {
        size_t len = bytes.len - at < 8176 * 50 ? bytes.len - at : 8176 * 50;
        assert_int_equal(store_begin(store), 0);
        if (!sequence)
            assert_int_equal(store_body_begin(store, &sequence), 0);
        assert_int_equal(store_body_part(store, sequence, CODING_IDENTITY, bytes, at, len), 0);
        assert_int_equal(store_commit(store), 0);
        assert_int_equal(put(store, &between), STORE_WRITTEN); /* a higher sequence */
    }
    put_large.body_sequences[CODING_IDENTITY] = sequence;
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_put(store, &put_large, now), 0);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(put_large.outcome, STORE_WRITTEN);
    assert_int_equal(put_large.body_sequences[CODING_IDENTITY], 0);
    object_unref(&put_large.object);
    /* who saw it pending before, and drops it now, comes too late */
    assert_int_equal(store_body_drop(store, sequence), 0);
    assert_int_equal(store_close(store), 0);
    store = open_store(path);
    assert_true(holds(store, &r));
    assert_true(holds(store, &between));
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- a file that is not what it was --- */

static void data_file(const char *path, char name[128])
{
    snprintf(name, 128, "%s/f1/data.mdb", path);
}

static void test_9_3_a_file_cut_short_is_seen_before_it_is_opened(void **state)
{
    (void)state;
    const char *path = temp_directory();
    char name[128];
    assert_true(store_file_is_whole(slice_of_string(path))); /* nothing there yet */
    struct store *store = open_store(path);
    for (unsigned i = 0; i < 100; i++) {
        struct recipe r = {.url = i, .body_bytes = 50000};
        assert_int_equal(put(store, &r), STORE_WRITTEN);
    }
    assert_int_equal(store_close(store), 0);
    assert_true(store_file_is_whole(slice_of_string(path)));
    data_file(path, name);
    const off_t cuts[] = {3000000, 100000, 8192, 8191, 4096, 100, 1, 0};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(truncate(name, cuts[i]), 0);
        assert_false(store_file_is_whole(slice_of_string(path)));
    }
    remove_tree(path);
}

static void test_9_3_a_file_of_something_else_is_not_whole(void **state)
{
    (void)state;
    const char *path = temp_directory();
    char name[128], junk[16384];
    struct store *store = open_store(path);
    assert_int_equal(store_close(store), 0);
    data_file(path, name);
    memset(junk, 0x5a, sizeof(junk));
    int fd = open(name, O_WRONLY);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), 0), sizeof(junk));
    close(fd);
    assert_false(store_file_is_whole(slice_of_string(path)));
    remove_tree(path);
}

/* Flips a byte in each place where the file holds `needle`; how many there were. */
static unsigned flip_in_file(const char *path, slice needle)
{
    char name[128];
    struct stat st;
    unsigned count = 0;
    data_file(path, name);
    int fd = open(name, O_RDWR);
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    char *bytes = mem_alloc((size_t)st.st_size);
    assert_int_equal(pread(fd, bytes, (size_t)st.st_size, 0), st.st_size);
    slice rest = slice_of(bytes, (size_t)st.st_size);
    for (;;) {
        size_t at = slice_search(rest, needle);
        if (at == rest.len)
            break;
        char flipped = (char)(rest.ptr[at] ^ 0x10);
        assert_int_equal(pwrite(fd, &flipped, 1, (off_t)(rest.ptr - bytes) + (off_t)at), 1);
        rest = slice_from(rest, at + 1);
        count++;
    }
    free(bytes);
    close(fd);
    return count;
}

static void test_flipped_bytes_are_noticed_in_body_and_head(void **state)
{
    (void)state;
    const char *path = temp_directory();
    struct store *store = open_store(path);
    struct recipe body = {.url = 1, .version = 1, .body_bytes = 30000};
    struct recipe head = {.url = 2, .version = 424242, .body_bytes = 3000};
    struct recipe sound = {.url = 3, .version = 3, .body_bytes = 3000};
    assert_int_equal(put(store, &body), STORE_WRITTEN);
    assert_int_equal(put(store, &head), STORE_WRITTEN);
    assert_int_equal(put(store, &sound), STORE_WRITTEN);
    assert_int_equal(store_close(store), 0);
    struct blob *bytes = body_make(&body);
    assert_int_not_equal(flip_in_file(path, slice_of(bytes->bytes + 20000, 64)), 0);
    blob_unref(&bytes);
    assert_int_not_equal(flip_in_file(path, SLICE("424242.0")), 0);
    store = open_store(path);
    bool is_damaged = false;
    assert_null(get(store, 1, 0, &is_damaged));
    assert_true(is_damaged);
    assert_null(get(store, 2, 0, &is_damaged));
    assert_true(is_damaged);
    assert_true(holds(store, &sound));
    for (unsigned url = 1; url <= 2; url++) {
        struct key key = variant_key_of(url, 0);
        assert_int_equal(store_begin(store), 0);
        assert_int_equal(store_remove(store, &key, now), 0);
        assert_int_equal(store_commit(store), 0);
        assert_null(get(store, url, 0, &is_damaged));
        assert_false(is_damaged);
    }
    assert_int_equal(store_close(store), 0);
    remove_tree(path);
}

/* --- kill -9 --- */

/* Tells the parent after each commit how far it is. */
static _Noreturn void write_until_killed(const char *path, unsigned start, int progress)
{
    struct store *store = open_store(path);
    for (unsigned i = start;; i++) {
        struct recipe r = {
            .url = i % 500, .variant = i % 3, .version = i, .body_bytes = (i * 7919) % 60000};
        if (put(store, &r) != STORE_WRITTEN || write(progress, &i, sizeof(i)) != (ssize_t)sizeof(i))
            _exit(1);
    }
}

static unsigned kill_a_writer(const char *path, unsigned start, unsigned commits)
{
    int progress[2];
    unsigned last = start, i;
    assert_int_equal(pipe(progress), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        close(progress[0]);
        write_until_killed(path, start, progress[1]);
    }
    close(progress[1]);
    for (i = 0; i < commits; i++)
        assert_int_equal(read(progress[0], &last, sizeof(last)), sizeof(last));
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (read(progress[0], &last, sizeof(last)) == (ssize_t)sizeof(last))
        ;
    close(progress[0]);
    return last; /* the last commit that was reported */
}

static void expect_no_wrong_body(struct store *store)
{
    for (unsigned url = 0; url < 500; url++) {
        for (unsigned variant = 0; variant < 3; variant++) {
            bool is_damaged;
            struct object *object = get(store, url, variant, &is_damaged);
            assert_false(is_damaged);
            if (!object)
                continue;
            unsigned version = object_version(object);
            struct recipe r = {.url = version % 500,
                               .variant = version % 3,
                               .version = version,
                               .body_bytes = (version * 7919) % 60000};
            assert_int_equal(r.url, url);
            assert_int_equal(r.variant, variant);
            assert_true(body_is_of(object->bodies[CODING_IDENTITY], &r));
            object_unref(&object);
        }
    }
}

static void test_kill_9_loses_nothing_and_leaves_no_wrong_body(void **state)
{
    (void)state;
    const char *path = temp_directory();
    unsigned start = 0;
    for (unsigned round = 0; round < 8; round++) {
        unsigned last = kill_a_writer(path, start, 20 + (unsigned)random_below(400));
        assert_true(store_file_is_whole(slice_of_string(path)));
        struct store *store = open_store(path);
        struct recipe r = {.url = last % 500,
                           .variant = last % 3,
                           .version = last,
                           .body_bytes = (last * 7919) % 60000};
        bool is_damaged;
        struct object *object = get(store, r.url, r.variant, &is_damaged);
        assert_non_null(object); /* it was committed */
        assert_true(object_version(object) >= last);
        object_unref(&object);
        expect_no_wrong_body(store);
        assert_int_equal(store_close(store), 0);
        start = last + 1;
    }
    remove_tree(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bodies_of_all_sizes_are_read_back),
        cmocka_unit_test(test_what_leaves_takes_its_bytes_along),
        cmocka_unit_test(test_2_5_growing_on_the_disk_drops_the_variants_of_the_smaller_union),
        cmocka_unit_test(test_2_5_a_replaced_variant_leaves_and_the_cap_holds),
        cmocka_unit_test(test_2_5_records_without_variants_expire_after_seven_days),
        cmocka_unit_test(test_records_without_variants_may_take_a_tenth_of_the_store),
        cmocka_unit_test(test_4_7_an_update_adds_a_coding_and_keeps_the_body),
        cmocka_unit_test(test_8_churn_keeps_the_newest_within_the_size),
        cmocka_unit_test(test_8_an_object_that_is_asked_for_is_reinserted_twice),
        cmocka_unit_test(test_5_5_what_is_kept_old_is_evicted_last),
        cmocka_unit_test(test_5_5_what_is_kept_old_goes_when_nothing_else_is_to_be_had),
        cmocka_unit_test(test_8_a_transaction_that_is_given_up_forgets_no_hit),
        cmocka_unit_test(test_a_full_map_makes_room_and_goes_on),
        cmocka_unit_test(test_6_3_the_oldest_stamp_rises_with_eviction),
        cmocka_unit_test(test_6_3_the_newest_stamp_rises_with_what_is_refreshed_or_checked),
        cmocka_unit_test(test_5_3_a_clock_that_was_set_back_does_not_make_an_update_old),
        cmocka_unit_test(test_9_1_an_older_update_does_not_undo_a_newer_one),
        cmocka_unit_test(test_9_2_a_store_that_another_process_made_larger_is_read_and_written),
        cmocka_unit_test(test_9_4_a_store_whose_meta_page_could_not_be_written_is_opened_again),
        cmocka_unit_test(test_9_4_a_body_without_its_row_is_removed_at_the_next_start),
        cmocka_unit_test(test_9_4_a_body_in_parts_is_read_back_whoever_wrote_or_dropped_meanwhile),
        cmocka_unit_test(test_9_3_a_file_cut_short_is_seen_before_it_is_opened),
        cmocka_unit_test(test_9_3_a_file_of_something_else_is_not_whole),
        cmocka_unit_test(test_flipped_bytes_are_noticed_in_body_and_head),
        cmocka_unit_test(test_kill_9_loses_nothing_and_leaves_no_wrong_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
