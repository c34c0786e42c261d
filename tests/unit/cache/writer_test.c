/* The writer thread: a full mailbox, a failing disk, large objects, removals. */
#include "tests/unit/cache/store_help.h"

#include "cache/writer.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

struct bench {
    const char *path;
    struct ram *ram;
    struct vary_table *vary;
    struct store *store;
    struct writer *writer;
};

static void bench_open(struct bench *b, size_t mailbox_bytes, int64_t retry_ms)
{
    char error[256] = "";
    const struct store_config config = {.path = slice_of_string(b->path),
                                        .max_bytes = 64 << 20,
                                        .max_object_bytes = 64 << 20,
                                        .max_variants = 8};
    b->ram = ram_new(64 << 20);
    b->vary = vary_table_new(4 << 20, true, 8, b->ram);
    b->store = store_open(&config, error);
    if (!b->store)
        fail_msg("%s", error);
    const struct writer_config writer = {.store = b->store,
                                         .vary = b->vary,
                                         .max_bytes = mailbox_bytes,
                                         .retry_ms = retry_ms,
                                         .interval_ms = 10000};
    b->writer = writer_start(&writer);
    assert_non_null(b->writer);
}

static bool bench_close(struct bench *b)
{
    bool all = writer_stop(b->writer);
    store_close(b->store);
    vary_table_free(b->vary);
    ram_free(b->ram);
    return all;
}

static bool put(struct bench *b, const struct recipe *r)
{
    struct object *object = object_make(r);
    bool may = writer_put(b->writer, object, false, NULL);
    object_unref(&object);
    return may;
}

static bool on_disk(struct bench *b, const struct recipe *r)
{
    struct store_reader *reader;
    struct object *object = NULL;
    bool is_damaged;
    struct key key = variant_key_of(r->url, r->variant);
    assert_int_equal(store_reader_open(b->store, &reader), 0);
    bool is = store_read_object(reader, &key, &object, &is_damaged) == 0 &&
              body_is_of(object->bodies[CODING_IDENTITY], r);
    object_unref(&object);
    store_reader_close(reader);
    return is;
}

static void test_what_is_queued_is_written_before_the_end(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    bench_open(&b, 64 << 20, 10000);
    for (unsigned i = 0; i < 500; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = i * 10};
        assert_true(put(&b, &r));
    }
    assert_true(bench_close(&b));
    bench_open(&b, 64 << 20, 10000);
    for (unsigned i = 0; i < 500; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = i * 10};
        assert_true(on_disk(&b, &r));
    }
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

/* Another worker process, as during a reload, that holds the write lock until it is told. */
struct other {
    pid_t pid;
    int to, from;
};

static _Noreturn void other_main(const char *path, int from, int to)
{
    char byte, error[256];
    const struct store_config config = {
        .path = slice_of_string(path), .max_bytes = 64 << 20, .max_variants = 8};
    MUST(read(from, &byte, 1) == 1);
    struct store *store = store_open(&config, error);
    MUST(store && store_begin(store) == 0);
    MUST(write(to, "", 1) == 1);
    MUST(read(from, &byte, 1) == 1);
    store_abort(store);
    store_close(store);
    _exit(0);
}

static struct other other_start(const char *path)
{
    int down[2], up[2];
    MUST(pipe(down) == 0 && pipe(up) == 0);
    pid_t pid = fork();
    MUST(pid >= 0);
    if (pid == 0)
        other_main(path, down[0], up[1]);
    close(down[0]);
    close(up[1]);
    return (struct other){pid, down[1], up[0]};
}

static void other_lock(const struct other *other)
{
    char byte;
    assert_int_equal(write(other->to, "", 1), 1);
    assert_int_equal(read(other->from, &byte, 1), 1);
}

static void other_end(const struct other *other)
{
    int status;
    assert_int_equal(write(other->to, "", 1), 1);
    assert_int_equal(waitpid(other->pid, &status, 0), other->pid);
    assert_int_equal(status, 0);
    close(other->to);
    close(other->from);
}

static void test_a_full_mailbox_refuses_and_counts(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    struct other other = other_start(b.path);
    bench_open(&b, 200000, 10000);
    other_lock(&other); /* now the writer cannot get on */
    unsigned taken = 0, refused = 0;
    for (unsigned i = 0; i < 1000; i++) {
        struct recipe r = {.url = i, .version = i, .body_bytes = 10000};
        bool may = put(&b, &r);
        taken += may;
        refused += !may;
    }
    assert_true(taken >= 19 && refused > 0);
    assert_int_equal(writer_stats(b.writer).dropped, refused);
    struct key key = variant_key_of(0, 0);
    assert_true(writer_remove(b.writer, &key)); /* removals have room of their own */
    assert_true(writer_is_removing(b.writer, &key));
    other_end(&other);
    writer_flush(b.writer);
    assert_false(writer_is_removing(b.writer, &key));
    assert_int_equal(store_stats(b.store).objects, taken - 1);
    struct recipe more = {.url = 5000, .body_bytes = 10000};
    assert_true(put(&b, &more)); /* there is room again */
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

static void test_9_4_removals_that_wait_make_no_other_key_unreadable(void **state)
{
    (void)state;
    enum { REMOVALS = 6000, OTHERS = 1000 };
    struct bench b = {.path = temp_directory()};
    struct other other = other_start(b.path);
    bench_open(&b, 64 << 20, 10000);
    other_lock(&other); /* now the writer cannot get on */
    struct key twice = variant_key_of(0, 0), unknown = variant_key_of(REMOVALS, 0);
    for (unsigned i = 0; i < REMOVALS; i++) {
        struct key key = variant_key_of(i, 0);
        assert_true(writer_remove(b.writer, &key));
        assert_true(writer_is_removing(b.writer, &key));
    }
    for (unsigned i = 0; i < OTHERS; i++) {
        struct key key = variant_key_of(i, 1);
        assert_false(writer_is_removing(b.writer, &key));
    }
    assert_true(writer_remove(b.writer, &twice));
    assert_false(writer_is_removing(b.writer, &unknown));
    other_end(&other);
    writer_flush(b.writer);
    assert_false(writer_is_removing(b.writer, &twice));
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

static void test_9_4_large_objects_are_written_in_parts(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    bench_open(&b, 64 << 20, 10000);
    struct recipe large[4];
    for (unsigned i = 0; i < 4; i++) {
        large[i] = (struct recipe){.url = i, .version = i, .body_bytes = 5000000 + i};
        struct recipe small = {.url = 100 + i, .version = i, .body_bytes = 100};
        assert_true(put(&b, &large[i]));
        assert_true(put(&b, &small));
    }
    writer_flush(b.writer);
    for (unsigned i = 0; i < 4; i++)
        assert_true(on_disk(&b, &large[i]));
    assert_true(writer_stats(b.writer).commits >= 4);
    assert_int_equal(store_stats(b.store).objects, 8);
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_9_4_a_failing_disk_leaves_memory_and_is_tried_again(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    struct key url_key = url_key_of(7), gone = variant_key_of(1, 0);
    const struct field_names a = names_of("a", NULL);
    struct vary_record *record;
    signal(SIGXFSZ, SIG_IGN);
    bench_open(&b, 64 << 20, 1);
    struct recipe before = {.url = 1, .version = 1, .body_bytes = 10};
    assert_true(put(&b, &before));
    writer_flush(b.writer);
    set_file_limit(16384); /* writing behind it fails, as on a full disk */
    struct recipe lost = {.url = 2, .version = 2, .body_bytes = 2000000};
    put(&b, &lost);
    writer_flush(b.writer);
    assert_true(writer_stats(b.writer).is_failing);
    assert_true(writer_stats(b.writer).dropped > 0);
    assert_true(vary_table_grow(b.vary, &url_key, &a, &record)); /* these two must not get lost */
    vary_record_unref(&record);
    assert_true(writer_remove(b.writer, &gone));
    writer_wake(b.writer);
    for (int i = 0; i < 20; i++)
        writer_flush(b.writer);
    set_file_limit(RLIM_INFINITY);
    while (writer_stats(b.writer).is_failing || vary_table_dirty(b.vary) ||
           writer_is_removing(b.writer, &gone))
        writer_flush(b.writer); /* its own retries bring it back */
    assert_false(on_disk(&b, &before));
    struct store_reader *reader;
    assert_int_equal(store_reader_open(b.store, &reader), 0);
    assert_int_equal(store_read_vary(reader, &url_key, &record), 0);
    assert_true(field_names_equal(&record->names, &a));
    vary_record_unref(&record);
    store_reader_close(reader);
    struct recipe after = {.url = 3, .version = 3, .body_bytes = 2000000};
    assert_true(put(&b, &after));
    writer_flush(b.writer);
    assert_true(on_disk(&b, &after));
    assert_false(on_disk(&b, &lost));
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

static void test_2_5_the_writer_hands_a_wider_union_back(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    const struct field_names a = names_of("a", NULL), ab = names_of("a", "b");
    struct key url_key = url_key_of(1);
    struct vary_record *record, *disk;
    const struct store_config config = {
        .path = slice_of_string(b.path), .max_bytes = 64 << 20, .max_variants = 8};
    char error[256];
    struct store *store = store_open(&config, error); /* what another process has written */
    struct vary_record *other = vary_record_new(&url_key, &ab, true, NULL, 0);
    assert_non_null(store);
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_write_vary(store, other, false, (wall_time){1}, &disk), 0);
    assert_int_equal(store_commit(store), 0);
    assert_int_equal(store_close(store), 0);
    vary_record_unref(&disk);
    vary_record_unref(&other);
    bench_open(&b, 64 << 20, 10000);
    assert_true(vary_table_grow(b.vary, &url_key, &a, &record));
    vary_record_unref(&record);
    assert_null(vary_table_find(b.vary, &url_key)); /* no answer before the disk has spoken */
    writer_flush(b.writer);
    record = vary_table_find(b.vary, &url_key);
    assert_non_null(record);
    assert_true(field_names_equal(&record->names, &ab));
    vary_record_unref(&record);
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

/* What another process has done to the store: the writer of this one is idle. */
static void change_on_disk(struct store *store, const struct key *url_key,
                           const struct field_names *names, bool is_reset)
{
    struct vary_record *change = vary_record_new(url_key, names, true, NULL, 0), *disk;
    assert_int_equal(store_begin(store), 0);
    assert_int_equal(store_write_vary(store, change, is_reset, (wall_time){1}, &disk), 0);
    assert_int_equal(store_commit(store), 0);
    vary_record_unref(&disk);
    vary_record_unref(&change);
}

static void test_2_5_a_union_that_another_process_has_reset_grows_again(void **state)
{
    (void)state;
    struct bench b = {.path = temp_directory()};
    const struct field_names a = names_of("a", NULL), none = {.count = 0};
    struct key url_key = url_key_of(1);
    struct vary_record *record;
    struct recipe r = {.url = 1, .version = 1, .body_bytes = 100, .names = &a};
    bench_open(&b, 64 << 20, 10000);
    assert_true(vary_table_grow(b.vary, &url_key, &a, &record));
    writer_flush(b.writer);
    change_on_disk(b.store, &url_key, &none, true); /* purged, and rendered without Vary */
    assert_true(put(&b, &r));
    writer_flush(b.writer);
    assert_false(on_disk(&b, &r)); /* its union was not the disk's */
    assert_true(put(&b, &r));
    writer_flush(b.writer);
    assert_true(on_disk(&b, &r));
    vary_record_unref(&record);
    assert_true(bench_close(&b));
    remove_tree(b.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_queued_is_written_before_the_end),
        cmocka_unit_test(test_a_full_mailbox_refuses_and_counts),
        cmocka_unit_test(test_9_4_removals_that_wait_make_no_other_key_unreadable),
        cmocka_unit_test(test_9_4_large_objects_are_written_in_parts),
        cmocka_unit_test(test_9_4_a_failing_disk_leaves_memory_and_is_tried_again),
        cmocka_unit_test(test_2_5_the_writer_hands_a_wider_union_back),
        cmocka_unit_test(test_2_5_a_union_that_another_process_has_reset_grows_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
