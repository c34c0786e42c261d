/* Which commands there are, and the help that is common to all. */
#include "edge/cli/cli.h"

#include "edge/cli/version.h"
#include "edge/proc/worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define DAEMON_OPTIONS                                                                             \
    "  --admin ADDR     admin listener: unix:/path or host:port\n"                                 \
    "  --config FILE    find the admin listener in this policy file\n"                             \
    "                   (without both: the one varve of this user that runs)\n"                    \
    "  --token-file F   bearer token for an admin listener on TCP\n"                               \
    "  --json           print the daemon's answer as it came\n"

static const struct command COMMANDS[] = {
    {"run", cli_run, "serve: master and worker in the foreground",
     "usage: varve run [--config FILE] [ORIGIN-URL] [--listen ADDR] [--shell FILE] [--store DIR]\n"
     "\n"
     "Serves until SIGTERM or Ctrl-C (drains; a second Ctrl-C ends it now). SIGHUP reloads the\n"
     "policy file, SIGUSR1 reopens the access log.\n"
     "\n"
     "  --config FILE    policy file; without it, ORIGIN-URL alone makes a cautious policy\n"
     "  --listen ADDR    :8080, 127.0.0.1:8080, [::1]:8080 or unix:/path, instead of the file's\n"
     "  --shell FILE     static page for browsers when the renderer fails\n"
     "  --store DIR      where the cache is kept\n"
     "\n"
     "example: varve run http://127.0.0.1:3000 --listen 127.0.0.1:8080\n"},
    {"check", cli_check, "check a policy file; print every error",
     "usage: varve check [--config FILE] [--effective] [--json]\n"
     "\n"
     "  --config FILE    policy file (default: varve.yaml)\n"
     "  --effective      print all settings with their values in force\n"
     "  --json           print the result as JSON\n"
     "\n"
     "example: varve check --config /etc/varve/varve.yaml --effective\n"},
    {"init", cli_init, "write a commented policy file",
     "usage: varve init [--preset NAME] [--output FILE]\n"
     "\n"
     "  --preset NAME    next, nuxt, sveltekit, react-router, angular or render-gateway\n"
     "  --output FILE    where to write (default: varve.yaml; -: stdout); never overwrites\n"
     "\n"
     "example: varve init --preset next\n"},
    {"purge", cli_purge, "remove pages from the cache, or mark them stale",
     "usage: varve purge URL... [options]\n"
     "       varve purge --prefix P | --tag T | --host H | --all [options]\n"
     "\n"
     "  --prefix P       all URLs that start with P, as https://host/path\n"
     "  --tag T          all pages with this tag; options may be given several times\n"
     "  --host H         all pages of a host; wants --soft or --hard\n"
     "  --all            everything; wants --soft or --hard\n"
     "  --soft           mark stale: still served while refreshed, and on failure\n"
     "  --hard           remove (default for URLs, prefixes and tags)\n"
     "  --dry-run        only say what would be purged\n" DAEMON_OPTIONS "\n"
     "example: varve purge https://shop.example/p/17\n"
     "         varve purge --tag product-17 --soft\n"},
    {"explain", cli_explain, "say what would happen to a request now, and why",
     "usage: varve explain URL [-H 'NAME: VALUE']... [options]\n"
     "\n"
     "Prints the route, the class, what is in the key (`path`, `query_keyed`, `variant`), what is\n"
     "stored, and why a page was not stored. Nothing is rendered.\n"
     "\n"
     "  -H 'N: V'        a request header; may be given several times. Host takes the place of\n"
     "                   the URL's host\n" DAEMON_OPTIONS "\n"
     "example: varve explain https://shop.example/p/17 -H 'Accept-Language: de'\n"},
    {"variants", cli_variants, "list the stored variants of a URL",
     "usage: varve variants URL [options]\n"
     "\n" DAEMON_OPTIONS "\n"
     "example: varve variants https://shop.example/p/17\n"},
    {"stat", cli_stat, "counters",
     "usage: varve stat [--once] [options]\n"
     "\n"
     "  --once           print once; else again each second until Ctrl-C\n" DAEMON_OPTIONS "\n"
     "example: varve stat --once --json\n"},
    {"slots", cli_slots, "what the renderers are doing",
     "usage: varve slots [drain WORKER | up WORKER] [options]\n"
     "\n"
     "Workers, what they render, and who waits. `drain`: the worker gets nothing new, and "
     "finishes\n"
     "what it has; that holds over reloads until `up`. A worker is called renderer/0.\n"
     "\n" DAEMON_OPTIONS "\n"
     "example: varve slots drain renderer/0\n"},
    {"mode", cli_mode, "keep visitors from the renderers, or the shell from visitors",
     "usage: varve mode [auto | ssr | shell] [options]\n"
     "\n"
     "Without a word: the mode, and since when. It holds for all requests from now on, over\n"
     "reloads and crashes, until it is changed or varve is started anew.\n"
     "\n"
     "  auto             the rules of the policy decide\n"
     "  ssr              nobody gets the shell because of load or failure: they wait, then get a\n"
     "                   stale page, else 503\n"
     "  shell            pages are not rendered: fresh ones as ever, else stale, else the shell.\n"
     "                   Crawlers, data and whoever can have neither are served as under auto\n"
     "\n" DAEMON_OPTIONS "\n"
     "example: varve mode shell\n"},
    {"simulate", cli_simulate, "how many renderers, which limits: the queue under a virtual clock",
     "usage: varve simulate --rate R --render T [options]\n"
     "       varve simulate --log FILE [options]\n"
     "\n"
     "Runs varve's own queue with a load, and says who waits how long and who gets the shell.\n"
     "The same seed gives the same result. Needs no daemon.\n"
     "\n"
     "  --rate R         renders wanted: 200/s; or in steps: 20/s:60s,200/s:30s,20/s:60s\n"
     "  --render T       50ms, exponential:50ms, bimodal:5ms,50ms,10% (a tenth takes 50ms),\n"
     "                   lognormal:50ms,0.8 (median, and deviation of the logarithm)\n"
     "  --log FILE       an access log of varve: arrivals, render times and classes from there;\n"
     "                   with --rate or --render only the others\n"
     "  --speed N        the log's time passes N times as fast\n"
     "  --config FILE    workers, slots, queue, balance, classes of this policy\n"
     "                   (else one worker, and the defaults)\n"
     "  --origin NAME    ... of this origin (default: the first)\n"
     "  --workers N --slots N --balance B --shell-at N --shed-at N --client-wait T\n"
     "                   instead of the policy's\n"
     "  --shell P        so many may be given the shell (default 100%; 0% if the policy has none)\n"
     "  --class NAME=P   this class's share of the requests; else all are of the last one\n"
     "  --outage W@T+L   worker W (from 0) dies at T and takes requests again L later\n"
     "  --requests N     at most so many (default 100000; with --log alone all of it)\n"
     "  --seed N         what is random is drawn from this number (default 1)\n"
     "  --compare        beside it: all balances, no shell, a queue per worker\n"
     "  --json           print the result as JSON\n"
     "\n"
     "example: varve simulate --rate 100/s --render bimodal:5ms,50ms,10% --workers 2 --slots 1\n"
     "         varve simulate --config varve.yaml --log access.log --speed 10 --compare\n"},
    {"reload", cli_reload, "load the policy file anew, losing no request",
     "usage: varve reload [options]\n"
     "\n"
     "Waits until the new policy is in force, or prints every error in it; then the old one "
     "stays.\n"
     "\n" DAEMON_OPTIONS "\n"
     "example: varve reload --config /etc/varve/varve.yaml\n"},
    {"restart", cli_restart, "restart the renderers that varve runs, one by one",
     "usage: varve restart [ORIGIN] [options]\n"
     "\n"
     "Each gets no new request, finishes those it has, is ended and started anew; when it is\n"
     "ready, the next one follows. Without ORIGIN: those of all origins with `spawn`. Stops at\n"
     "the first that does not come back.\n"
     "\n" DAEMON_OPTIONS "\n"
     "example: varve restart renderer\n"},
    {"version", cli_version, "print the version",
     "usage: varve version\n"
     "\n"
     "example: varve version\n"},
};

enum { COMMAND_COUNT = sizeof(COMMANDS) / sizeof(*COMMANDS) };

int cli_help(const struct command *self)
{
    fputs(self->help, stdout);
    return CLI_OK;
}

int cli_usage(const struct command *self, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "varve %s: ", self->name);
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\ntry: varve %s --help\n", self->name);
    va_end(arguments);
    return CLI_USAGE;
}

int cli_version(int argc, char **argv, const struct command *self)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        return cli_help(self);
    if (argc > 1)
        return cli_usage(self, "takes no arguments");
    puts("varve " VARVE_VERSION);
    return CLI_OK;
}

static int overview(FILE *to, int status)
{
    fputs("usage: varve COMMAND [options]\n\n", to);
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        fprintf(to, "  %-9s %s\n", COMMANDS[i].name, COMMANDS[i].summary);
    fputs("\n`varve COMMAND --help` shows options and an example.\n"
          "first use: varve run http://127.0.0.1:3000\n",
          to);
    return status;
}

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(COMMANDS[i].name, name) == 0)
            return &COMMANDS[i];
    return NULL;
}

static int unknown(const char *name)
{
    slice names[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        names[i] = slice_of_string(COMMANDS[i].name);
    slice near = diag_nearest(slice_of_string(name), names, COMMAND_COUNT);
    fprintf(stderr, "varve: unknown command \"%s\"", name);
    if (near.len)
        fprintf(stderr, " (did you mean \"%" SLICE_FMT "\"?)", SLICE_ARG(near));
    fputs("\n\n", stderr);
    return overview(stderr, CLI_USAGE);
}

static bool is_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0;
}

int cli_main(int argc, char **argv)
{
    if (argc < 2)
        return overview(stderr, CLI_USAGE);
    if (is_help(argv[1])) {
        const struct command *about = argc > 2 ? find(argv[2]) : NULL;
        return about ? cli_help(about) : overview(stdout, CLI_OK);
    }
    if (strcmp(argv[1], "worker") == 0) /* internal: started by the master */
        return worker_main(argc - 1, argv + 1);
    if (strcmp(argv[1], "--version") == 0)
        return cli_version(1, argv, find("version"));
    const struct command *command = find(argv[1]);
    return command ? command->run(argc - 1, argv + 1, command) : unknown(argv[1]);
}
