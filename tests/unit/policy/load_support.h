/* An arena, a diag and a directory for policy files, for the tests of the loader. */
#pragma once

#include "policy/loader.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* Line 1 of most tests: what follows begins in line 2. */
#define R "renderer: http://127.0.0.1:3000\n"

struct fixture {
    struct arena arena;
    struct diag diag;
    char directory[32];
};

static inline int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena);
    diag_init(&fixture.diag, &fixture.arena);
    snprintf(fixture.directory, sizeof(fixture.directory), "/tmp/varve-load-XXXXXX");
    *state = &fixture;
    return mkdtemp(fixture.directory) ? 0 : -1;
}

static inline void remove_tree(struct arena *arena, const char *path)
{
    slice command = arena_printf(arena, "rm -rf -- '%s'", path);
    assert_int_equal(system(command.ptr), 0);
}

static inline int tear_down(void **state)
{
    struct fixture *f = *state;
    remove_tree(&f->arena, f->directory);
    arena_fini(&f->arena);
    return 0;
}

/* Writes DIRECTORY/NAME, with the directories above it; returns its path. */
static inline slice write_file(struct fixture *f, const char *name, const char *text)
{
    slice path = arena_printf(&f->arena, "%s/%s", f->directory, name);
    char *bytes = (char *)(uintptr_t)path.ptr;
    for (char *slash = strchr(bytes + strlen(f->directory) + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(bytes, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path.ptr, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    return path;
}

static inline struct policy *load_string(struct fixture *f, const char *text)
{
    diag_init(&f->diag, &f->arena);
    return policy_load_text(slice_of_string(text), SLICE("v"), &f->diag);
}

/* The policy must load. */
static inline struct policy *load_ok(struct fixture *f, const char *text)
{
    struct policy *policy = load_string(f, text);
    if (!policy)
        fail_msg("%s", diag_text(&f->diag).ptr);
    return policy;
}

static inline struct policy *load_file(struct fixture *f, slice path)
{
    struct policy_options options = {.path = path};
    diag_init(&f->diag, &f->arena);
    return policy_load(&options, &f->diag);
}

/* Loading must fail with exactly these lines. */
static inline bool has_errors(struct fixture *f, const char *text, const char *expected)
{
    struct policy *policy = load_string(f, text);
    slice got = diag_text(&f->diag);
    bool is_same = !policy && slice_equal(got, slice_of_string(expected));
    if (!is_same)
        print_error("\n%sgot      %sexpected %s", text, got.ptr, expected);
    policy_free(policy);
    return is_same;
}

struct error_row {
    const char *text, *expected;
};

static inline void check_error_rows(struct fixture *f, const struct error_row *rows, size_t count)
{
    bool are_right = true;
    for (size_t i = 0; i < count; i++)
        are_right &= has_errors(f, rows[i].text, rows[i].expected);
    assert_true(are_right);
}

static inline void check_errors(struct fixture *f, const char *text, const char *expected)
{
    assert_true(has_errors(f, text, expected));
}

#define CHECK_ERRORS(f, rows) check_error_rows(f, rows, sizeof(rows) / sizeof(rows[0]))
#define TEST(name)            cmocka_unit_test_setup_teardown(name, set_up, tear_down)

static inline void check_slice(slice got, const char *expected)
{
    if (!slice_equal(got, slice_of_string(expected)))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.len, got.ptr ? got.ptr : "", expected);
}

static inline void check_slices(const struct slices *got, const char *expected)
{
    slice rest = slice_of_string(expected), word;
    size_t i = 0;
    while (*expected && slice_next(&rest, ' ', &word)) {
        assert_true(i < got->count);
        if (!slice_equal(got->at[i], word))
            fail_msg("item %zu: got \"%.*s\", expected %s", i, (int)got->at[i].len, got->at[i].ptr,
                     expected);
        i++;
    }
    assert_int_equal(got->count, i);
}
