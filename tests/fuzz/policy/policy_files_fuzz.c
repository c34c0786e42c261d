/*
 * What the policy is read from besides its own file: an included file, a list of addresses as
 * Google and others publish them, and what the kernel says of machine and control group. All
 * ranges that count are in the list's text, and what loads prints to a policy that loads the same.
 *
 *   input = kind (1 byte: odd: the machine) included file, NUL, addresses
 *           or memory of the machine, NUL, control group, NUL, memory.max, NUL, cpu.max
 */
#include "policy/loader.h"

#include "tests/fuzz/input.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 128, THREADS_MOST = 256 };

static char root[64] = "/tmp/varve-policy-fuzz-XXXXXX";
static const char policy_text[] = "include: [more.yaml]\nrenderer: http://127.0.0.1:1\n"
                                  "classes: [{name: bots, ip_ranges: [list.json, 192.0.2.0/24]},"
                                  " {name: people}]\n";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static void remove_root(void)
{
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void write_file(const char *name, slice bytes)
{
    char path[PATH_BYTES];
    snprintf(path, sizeof(path), "%s/%s", root, name);
    FILE *file = fopen(path, "we");
    MUST(file && fwrite(bytes.ptr ? bytes.ptr : "", 1, bytes.len, file) == bytes.len);
    fclose(file);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const char *const directories[] = {"proc",
                                              "proc/self",
                                              "sys",
                                              "sys/fs",
                                              "sys/fs/cgroup",
                                              "sys/fs/cgroup/a",
                                              "sys/fs/cgroup/a/b"};
    char path[PATH_BYTES];
    (void)argc, (void)argv;
    umask(S_IRWXG | S_IRWXO); /* any of them may be named as the file of a token */
    MUST(mkdtemp(root));
    atexit(remove_root);
    for (size_t i = 0; i < sizeof(directories) / sizeof(directories[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", root, directories[i]);
        MUST(mkdir(path, 0700) == 0);
    }
    write_file("policy.yaml", slice_of_string(policy_text));
    return 0;
}

static slice take_text(slice *input)
{
    size_t end = slice_find(*input, '\0', 0);
    slice text = slice_until(*input, end);
    *input = slice_from(*input, end + 1);
    return text;
}

/* --- the policy's files --- */

/* The last one is the policy's own; of the others, each stands in the list. */
static void check_ranges(const struct policy *policy, slice list)
{
    const struct class_config *bots = &policy->classes[0];
    size_t own = 0;
    MUST(bots->has_ip_ranges && bots->ip_ranges.count >= 2);
    for (size_t i = 0; i < bots->ip_ranges.count; i++) {
        const struct ip_range *range = &bots->ip_ranges.at[i];
        MUST(range->prefix_bits <= 128 && ip_range_contains(range, &range->network));
        own += range->prefix_bits == 96 + 24;
    }
    MUST(own >= 1 && bots->ip_ranges.count <= list.len / 2 + 2); /* "::" is the shortest */
}

static void check_effective(const struct policy *policy, struct arena *arena, struct diag *diag)
{
    slice first = policy_effective(policy, arena);
    struct policy *again = policy_load_text(first, SLICE("effective"), diag);
    MUST(again && slice_equal(first, policy_effective(again, arena)));
    policy_free(again);
}

/* No wild cards and escapes: the fuzzer shall not walk through the machine's files. */
static bool is_harmless(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (strchr("*?\\", text.ptr[i]) && text.ptr[i])
            return false;
    return true;
}

/* Whoever can read the whole file finds the daemon at the address that it opens. */
static void check_daemon(const struct policy *policy, slice path, struct arena *arena)
{
    struct diag diag;
    struct daemon_place place, of_one_with_a_token;
    diag_init(&diag, arena);
    bool is_found = policy_find_daemon(path, true, arena, &diag, &place);
    MUST(is_found || diag.count > 0);
    diag_init(&diag, arena);
    bool is_found_with_a_token =
        policy_find_daemon(path, false, arena, &diag, &of_one_with_a_token);
    MUST(!is_found ||
         (is_found_with_a_token && slice_equal(place.address, of_one_with_a_token.address)));
    if (!policy)
        return;
    MUST(is_found && slice_equal(place.address, policy->admin_listen));
    MUST(slice_starts_with(place.address, SLICE("unix:")) ||
         slice_equal(place.token_file, policy->admin_token_file));
}

static void check_policy(slice input)
{
    char path[PATH_BYTES];
    struct arena arena;
    struct diag diag;
    slice more = take_text(&input);
    if (!is_harmless(more))
        return;
    write_file("more.yaml", more);
    write_file("list.json", input);
    snprintf(path, sizeof(path), "%s/policy.yaml", root);
    arena_init(&arena);
    diag_init(&diag, &arena);
    struct policy *policy =
        policy_load(&(struct policy_options){.path = slice_of_string(path)}, &diag);
    MUST((policy != NULL) == (diag.count == 0));
    diag_text(&diag);
    check_daemon(policy, slice_of_string(path), &arena);
    if (policy) {
        check_ranges(policy, input);
        check_effective(policy, &arena, &diag);
    }
    policy_free(policy);
    arena_fini(&arena);
}

/* --- the machine --- */

static void check_machine(slice input)
{
    uint64_t total = 0;
    slice memory = take_text(&input), group = take_text(&input), most = take_text(&input);
    write_file("proc/meminfo", memory);
    write_file("proc/self/cgroup", group);
    write_file("sys/fs/cgroup/a/memory.max", most);
    write_file("sys/fs/cgroup/a/b/cpu.max", input);
    uint64_t bytes = machine_memory_bytes(root);
    if (slice_starts_with(group, SLICE("0::/a\n")) && slice_to_u64(most, &total))
        MUST(bytes <= total);
    unsigned threads = machine_threads(root);
    MUST(threads >= 1 && threads <= THREADS_MOST);
    if (slice_starts_with(group, SLICE("0::/a/b\n")) && slice_equal(input, SLICE("100000 100000")))
        MUST(threads == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 8192 ? size : 8192);
    if (take_byte(&input) & 1)
        check_machine(input);
    else
        check_policy(input);
    return 0;
}
