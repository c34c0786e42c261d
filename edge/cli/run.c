/* `varve run`: the master, and the one block of lines that says what is being served. */
#include "edge/cli/cli.h"
#include "edge/cli/version.h"
#include "edge/proc/master.h"
#include "edge/proc/worker.h"

#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

static const struct option OPTIONS[] = {
    {"config", required_argument, NULL, 'c'},
    {"listen", required_argument, NULL, 'l'},
    {"shell", required_argument, NULL, 's'},
    {"store", required_argument, NULL, 'd'},
    {"vcl", required_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

/* --- the block at start --- */

static void print_size(const char *what, uint64_t bytes)
{
    static const char *const UNITS[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    double value = (double)bytes;
    for (; value >= 1024 && unit < 4; unit++)
        value /= 1024;
    fprintf(stderr, "%.4g %s%s", value, UNITS[unit], what);
}

static void print_duration(const char *name, duration d)
{
    static const struct {
        int64_t ms;
        const char *unit;
    } UNITS[] = {{86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"}};
    if (d.ms == 0) {
        fprintf(stderr, "%s 0", name);
        return;
    }
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(*UNITS); i++) {
        if (d.ms % UNITS[i].ms != 0 && UNITS[i].ms > 1)
            continue;
        fprintf(stderr, "%s %lld%s", name, (long long)(d.ms / UNITS[i].ms), UNITS[i].unit);
        return;
    }
}

/* As something to click on, where that is possible. */
static void print_address(const struct listen_config *listen)
{
    bool has_scheme = slice_starts_with(listen->address, SLICE("unix:"));
    bool has_host = listen->address.len && listen->address.ptr[0] != ':';
    fprintf(stderr, "  listening on  %s%s%" SLICE_FMT "\n",
            has_scheme ? "" : (listen->tls_count ? "https://" : "http://"),
            has_scheme || has_host ? "" : "127.0.0.1", SLICE_ARG(listen->address));
}

static void print_origin(const struct origin_config *origin)
{
    fprintf(stderr, "  origin        %" SLICE_FMT ":", SLICE_ARG(origin->name));
    for (size_t i = 0; i < origin->worker_count; i++)
        fprintf(stderr, " %" SLICE_FMT, SLICE_ARG(origin->workers[i].url));
    if (origin->slots)
        fprintf(stderr, ", %u request%s at a time each", origin->slots,
                origin->slots == 1 ? "" : "s");
    if (origin->share.of > 1)
        fprintf(stderr, "; this edge has share %u/%u", origin->share.part, origin->share.of);
    fputc('\n', stderr);
}

static const char *logged_in_text(enum when_logged_in when)
{
    static const char *const TEXTS[] = {"pass", "shell", "cache", "another origin"};
    return TEXTS[when];
}

/* What the response says comes first on every route (semantics 5.1). */
static void print_stale(const struct stale_config *stale)
{
    bool has_first = stale->while_revalidate.ms > 0, has_second = stale->if_error.ms > 0;
    fputs("; stale: as the response says", stderr);
    if (has_first)
        print_duration(", else while_revalidate", stale->while_revalidate);
    if (has_second)
        print_duration(has_first ? ", if_error" : ", else if_error", stale->if_error);
}

static void print_route(const struct route *route)
{
    fprintf(stderr, "  route         %-20" SLICE_FMT " ", SLICE_ARG(route->match));
    if (!route->is_cacheable) {
        fputs("never cached\n", stderr);
        return;
    }
    if (duration_is_given(route->ttl.value))
        print_duration("ttl", route->ttl.value);
    else
        fputs("stores what the renderer marks", stderr);
    print_stale(&route->stale);
    if (route->keep_old.ms > 0)
        print_duration("; keep_old", route->keep_old);
    fprintf(stderr, "; logged in: %s\n", logged_in_text(route->when_logged_in));
}

static void print_store(const struct policy *policy)
{
    fprintf(stderr, "  store         %" SLICE_FMT ", ",
            SLICE_ARG(policy->store_path.len ? policy->store_path : SLICE("memory only")));
    print_size(" on disk, ", policy->store_bytes);
    print_size(" in memory\n", policy->memory_bytes);
}

enum { ROUTES_SHOWN = 20 };

/* On stderr: stdout may be the access log. */
static void print_start(void *arg, const struct policy *policy)
{
    (void)arg;
    fprintf(stderr, "varve %s is ready\n", VARVE_VERSION);
    for (size_t i = 0; i < policy->listen_count; i++)
        print_address(&policy->listen[i]);
    if (policy->path.len)
        fprintf(stderr, "  policy        %" SLICE_FMT "\n", SLICE_ARG(policy->path));
    for (size_t i = 0; i < policy->origin_count; i++)
        print_origin(&policy->origins[i]);
    for (size_t i = 0; i < policy->route_count && i < ROUTES_SHOWN; i++)
        print_route(&policy->routes[i]);
    if (policy->route_count > ROUTES_SHOWN)
        fprintf(stderr, "  … and %zu more routes\n", policy->route_count - ROUTES_SHOWN);
    if (policy->shell_origin_name.len)
        fprintf(stderr, "  shell         from %" SLICE_FMT "\n",
                SLICE_ARG(policy->shell_origin_name));
    if (policy->shell_file.len)
        fprintf(stderr, "  shell         %" SLICE_FMT "\n", SLICE_ARG(policy->shell_file));
    print_store(policy);
    fprintf(stderr, "  admin         %" SLICE_FMT "\n", SLICE_ARG(policy->admin_listen));
}

/* --- options --- */

static int take(int option, struct policy_options *policy, const struct command *self)
{
    slice value = slice_of_string(optarg);
    switch (option) {
    case 'c':
        policy->path = value;
        return CLI_OK;
    case 'l':
        policy->listen = value;
        return CLI_OK;
    case 's':
        policy->shell = value;
        return CLI_OK;
    case 'd':
        policy->store_path = value;
        return CLI_OK;
    case 'v':
        return cli_usage(self, "--vcl: VCL is not supported by this version");
    default:
        fprintf(stderr, "try: varve %s --help\n", self->name); /* getopt said what is wrong */
        return CLI_USAGE;
    }
}

static bool is_url(slice word)
{
    return slice_starts_with(word, SLICE("unix:")) ||
           slice_starts_with_nocase(word, SLICE("http://")) ||
           slice_starts_with_nocase(word, SLICE("https://"));
}

/* `varve run site.yaml` */
static bool is_file(slice word)
{
    return !is_url(word) && (slice_ends_with(word, SLICE(".yaml")) ||
                             slice_ends_with(word, SLICE(".yml")) || access(word.ptr, F_OK) == 0);
}

static int take_words(int count, char **words, struct policy_options *policy,
                      const struct command *self)
{
    if (count > 1)
        return cli_usage(self, "one ORIGIN-URL at most; use a policy file for more");
    if (count == 1 && is_file(slice_of_string(words[0])))
        return cli_usage(self,
                         "\"%s\" is no ORIGIN-URL such as http://127.0.0.1:3000 (a policy file? "
                         "--config %s)",
                         words[0], words[0]);
    if (count == 1)
        policy->origin_url = slice_of_string(words[0]);
    if (policy->path.len || policy->origin_url.len)
        return CLI_OK;
    if (access("varve.yaml", R_OK) != 0)
        return cli_usage(self, "needs --config FILE or an ORIGIN-URL");
    policy->path = SLICE("varve.yaml");
    return CLI_OK;
}

int cli_run(int argc, char **argv, const struct command *self)
{
    struct master_options options = {.enter = worker_enter, .on_ready = print_start};
    int status = CLI_OK;
    for (int option; (option = getopt_long(argc, argv, "h", OPTIONS, NULL)) != -1;) {
        if (option == 'h')
            return cli_help(self);
        status = take(option, &options.policy, self);
        if (status != CLI_OK)
            return status;
    }
    status = take_words(argc - optind, argv + optind, &options.policy, self);
    return status == CLI_OK ? master_run(&options) : status;
}
