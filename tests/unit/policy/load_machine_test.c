/* Memory and processors of a made-up machine (semantics 9.5). */
#include "tests/unit/policy/load_support.h"

static void test_9_5_memory_is_that_of_the_machine(void **state)
{
    struct fixture *f = *state;
    write_file(f, "proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
    assert_int_equal(machine_memory_bytes(f->directory), 2048 * 1024);
}

static void test_9_5_memory_is_the_least_of_the_groups_above_us(void **state)
{
    struct fixture *f = *state;
    write_file(f, "proc/meminfo", "MemTotal:   2048 kB\n");
    write_file(f, "proc/self/cgroup", "0::/a/b\n");
    write_file(f, "sys/fs/cgroup/a/b/memory.max", "max\n");
    assert_int_equal(machine_memory_bytes(f->directory), 2048 * 1024);
    write_file(f, "sys/fs/cgroup/a/memory.max", "1000\n");
    write_file(f, "sys/fs/cgroup/memory.max", "3000\n");
    assert_int_equal(machine_memory_bytes(f->directory), 1000);
    write_file(f, "sys/fs/cgroup/memory.max", "900\n");
    assert_int_equal(machine_memory_bytes(f->directory), 900);
}

static void test_9_5_memory_of_version_1_groups(void **state)
{
    struct fixture *f = *state;
    write_file(f, "proc/meminfo", "MemTotal:   2048 kB\n");
    write_file(f, "sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n");
    assert_int_equal(machine_memory_bytes(f->directory), 5000);
}

static void test_9_5_threads_follow_the_quota_rounded_up(void **state)
{
    struct fixture *f = *state;
    unsigned all = machine_threads("/nonexistent");
    assert_in_range(all, 1, 256);
    write_file(f, "proc/self/cgroup", "0::/a\n");
    write_file(f, "sys/fs/cgroup/a/cpu.max", "max 100000\n");
    assert_int_equal(machine_threads(f->directory), all);
    write_file(f, "sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    assert_int_equal(machine_threads(f->directory), 1);
    write_file(f, "sys/fs/cgroup/a/cpu.max", "110000 100000\n");
    assert_int_equal(machine_threads(f->directory), all < 2 ? all : 2);
    write_file(f, "sys/fs/cgroup/cpu.max", "1000 100000\n");
    assert_int_equal(machine_threads(f->directory), 1);
    write_file(f, "sys/fs/cgroup/cpu.max", "1000 0\n");
    assert_int_equal(machine_threads(f->directory), all < 2 ? all : 2);
}

static void test_9_5_a_store_that_exists_counts_as_free(void **state)
{
    struct fixture *f = *state;
    slice store = arena_printf(&f->arena, "%s/store", f->directory);
    /* not there yet: the disk of the directory above */
    assert_true(machine_free_disk_bytes(store) > 0);
    char *block = calloc(1, 8 << 20);
    write_file(f, "store/f1/data", "");
    FILE *file = fopen(arena_printf(&f->arena, "%s/f1/data", store.ptr).ptr, "w");
    assert_int_equal(fwrite(block, 1, 8 << 20, file), 8 << 20);
    fclose(file);
    free(block);
    /* other programs use the disk meanwhile: one of several looks has to show the difference */
    slice other = arena_printf(&f->arena, "%s/other", f->directory);
    bool is_counted = false;
    for (int i = 0; i < 20 && !is_counted; i++) {
        uint64_t with = machine_free_disk_bytes(store), without = machine_free_disk_bytes(other);
        is_counted = with > without + (7 << 20) && with < without + (9 << 20);
    }
    assert_true(is_counted);
    assert_int_equal(machine_free_disk_bytes(SLICE_NONE), 0);
    assert_true(machine_free_disk_bytes(SLICE("relative/none")) > 0);
    assert_true(machine_free_disk_bytes(SLICE("/none/none")) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_9_5_memory_is_that_of_the_machine),
        TEST(test_9_5_memory_is_the_least_of_the_groups_above_us),
        TEST(test_9_5_memory_of_version_1_groups),
        TEST(test_9_5_threads_follow_the_quota_rounded_up),
        TEST(test_9_5_a_store_that_exists_counts_as_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
