/* See worker_args.h. */
#include "edge/proc/worker_args.h"

#include "base/must.h"

#include <getopt.h>
#include <limits.h>
#include <stdio.h>

/* --- writing --- */

struct words {
    char **at;
    size_t count;
    struct arena *arena;
};

static void add(struct words *words, const char *name, slice value)
{
    MUST(words->count + 2 < WORKER_ARGV_MAX);
    words->at[words->count++] = (char *)(uintptr_t)name;
    words->at[words->count++] = (char *)(uintptr_t)arena_copy(words->arena, value).ptr;
}

static void add_given(struct words *words, const char *name, slice value)
{
    if (value.len)
        add(words, name, value);
}

static void add_number(struct words *words, const char *name, uint64_t value)
{
    add(words, name, arena_printf(words->arena, "%llu", (unsigned long long)value));
}

static void add_fd(struct words *words, const char *name, int fd)
{
    if (fd >= 0)
        add_number(words, name, (uint64_t)fd);
}

char **worker_args_format(const struct worker_args *args, const char *program, struct arena *arena)
{
    struct words words = {arena_array(arena, char *, WORKER_ARGV_MAX + 1), 0, arena};
    add(&words, arena_copy(arena, slice_of_string(program)).ptr, SLICE("worker"));
    add_given(&words, "--config", args->options.path);
    add_given(&words, "--origin", args->options.origin_url);
    add_given(&words, "--listen", args->options.listen);
    add_given(&words, "--shell", args->options.shell);
    add_given(&words, "--store", args->options.store_path);
    add_fd(&words, "--shared", args->shared);
    add_fd(&words, "--ready", args->ready);
    add_fd(&words, "--ask", args->ask);
    add_fd(&words, "--admin", args->admin);
    add_fd(&words, "--lock", args->lock);
    add_number(&words, "--place", args->place);
    add(&words, "--fixed", args->fixed);
    add_number(&words, "--bytes", args->store_bytes);
    for (size_t i = 0; i < args->listeners.count; i++)
        add(&words, "--on",
            arena_printf(arena, "%d=%s", args->listeners.at[i].fd, args->listeners.at[i].address));
    return words.at;
}

slice policy_fixed_text(const struct policy *policy, struct arena *arena)
{
    return arena_printf(arena, "%" SLICE_FMT "\n%" SLICE_FMT "\n%" SLICE_FMT,
                        SLICE_ARG(policy->store_path), SLICE_ARG(policy->user),
                        SLICE_ARG(policy->admin_listen));
}

/* --- reading --- */

static bool to_fd(slice text, int *fd)
{
    uint64_t value;
    if (!slice_to_u64(text, &value) || value > INT_MAX)
        return false;
    *fd = (int)value;
    return true;
}

static bool to_listener(slice text, struct listener_set *set)
{
    size_t sign = slice_find(text, '=', 0);
    slice address = slice_from(text, sign + 1);
    struct listener *listener = &set->at[set->count];
    if (set->count == LISTEN_MAX || address.len >= sizeof(listener->address) ||
        !to_fd(slice_until(text, sign), &listener->fd))
        return false;
    snprintf(listener->address, sizeof(listener->address), "%" SLICE_FMT, SLICE_ARG(address));
    set->count++;
    return true;
}

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"origin", required_argument, NULL, 'u'},
    {"listen", required_argument, NULL, 'l'},
    {"shell", required_argument, NULL, 's'},
    {"store", required_argument, NULL, 'd'},
    {"shared", required_argument, NULL, 'm'},
    {"lock", required_argument, NULL, 'L'},
    {"ready", required_argument, NULL, 'r'},
    {"ask", required_argument, NULL, 'a'},
    {"admin", required_argument, NULL, 'A'},
    {"place", required_argument, NULL, 'p'},
    {"bytes", required_argument, NULL, 'b'},
    {"fixed", required_argument, NULL, 'f'},
    {"on", required_argument, NULL, 'o'},
    {NULL, 0, NULL, 0},
};

static bool take_option(int option, slice value, struct worker_args *args)
{
    int place;
    switch (option) {
    case 'c':
        args->options.path = value;
        return true;
    case 'u':
        args->options.origin_url = value;
        return true;
    case 'l':
        args->options.listen = value;
        return true;
    case 's':
        args->options.shell = value;
        return true;
    case 'd':
        args->options.store_path = value;
        return true;
    case 'f':
        args->fixed = value;
        return true;
    case 'm':
        return to_fd(value, &args->shared);
    case 'r':
        return to_fd(value, &args->ready);
    case 'a':
        return to_fd(value, &args->ask);
    case 'L':
        return to_fd(value, &args->lock);
    case 'A':
        return to_fd(value, &args->admin);
    case 'p':
        if (!to_fd(value, &place))
            return false;
        args->place = (unsigned)place;
        return true;
    case 'b':
        return slice_to_u64(value, &args->store_bytes);
    case 'o':
        return to_listener(value, &args->listeners);
    default:
        return false;
    }
}

bool worker_args_parse(int argc, char **argv, struct worker_args *args)
{
    *args = (struct worker_args){.shared = -1, .ready = -1, .ask = -1, .admin = -1, .lock = -1};
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", OPTIONS, NULL)) != -1;)
        if (!take_option(option, slice_of_string(optarg), args))
            return false;
    return optind == argc && args->shared >= 0 && args->ready >= 0 && args->ask >= 0;
}
