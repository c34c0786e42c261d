/* `varve purge`: words and options → one POST /v1/purge. */
#include "edge/cli/options.h"

#include <stdio.h>
#include <stdlib.h>

enum { PREFIX = OPTION_OWN, TAG, HOST, ALL, SOFT, HARD, DRY_RUN };

static const struct option OPTIONS[] = {
    {"prefix", required_argument, NULL, PREFIX},
    {"tag", required_argument, NULL, TAG},
    {"host", required_argument, NULL, HOST},
    {"all", no_argument, NULL, ALL},
    {"soft", no_argument, NULL, SOFT},
    {"hard", no_argument, NULL, HARD},
    {"dry-run", no_argument, NULL, DRY_RUN},
    DAEMON_OPTIONS_ROWS,
    {NULL, 0, NULL, 0},
};

struct order {
    json_t *body;
    const struct command *self;
    bool is_wide; /* --all or --host: wants to be told soft or hard (semantics 6.4) */
    bool is_soft, is_hard;
};

static bool append(struct order *order, const char *list, slice value)
{
    json_t *text = json_stringn(value.ptr, value.len);
    if (!text) {
        cli_usage(order->self, "not valid UTF-8: \"%" SLICE_FMT "\"", SLICE_ARG(value));
        return false;
    }
    json_t *array = json_object_get(order->body, list);
    if (!array) {
        array = json_array();
        json_object_set_new(order->body, list, array);
    }
    json_array_append_new(array, text);
    return true;
}

static bool set(struct order *order, const char *name)
{
    return json_object_set_new(order->body, name, json_true()) == 0;
}

static bool take(int option, slice value, void *arg)
{
    struct order *order = arg;
    order->is_wide = order->is_wide || option == ALL || option == HOST;
    switch (option) {
    case PREFIX:
        return append(order, "prefixes", value);
    case TAG:
        return append(order, "tags", value);
    case HOST:
        return append(order, "hosts", value);
    case ALL:
        return set(order, "all");
    case SOFT:
        return order->is_soft = true;
    case HARD:
        return order->is_hard = true;
    default:
        return set(order, "dry_run");
    }
}

/* -1: complete. */
static int finish(struct order *order, int argc, char **argv)
{
    static const char *const WHAT[] = {"urls", "prefixes", "tags", "hosts", "all"};
    bool names_something = false;
    for (int i = optind; i < argc; i++)
        if (!append(order, "urls", slice_of_string(argv[i])))
            return CLI_USAGE;
    for (size_t i = 0; i < sizeof(WHAT) / sizeof(*WHAT); i++)
        names_something = names_something || json_object_get(order->body, WHAT[i]);
    if (!names_something)
        return cli_usage(order->self, "says not what: a URL, --prefix, --tag, --host or --all");
    if (order->is_soft && order->is_hard)
        return cli_usage(order->self, "--soft and --hard exclude each other");
    if (order->is_wide && !order->is_soft && !order->is_hard)
        return cli_usage(order->self,
                         "--all and --host want --soft (mark stale) or --hard (remove)");
    json_object_set_new(order->body, "soft", json_boolean(order->is_soft));
    return -1;
}

static int purge(int argc, char **argv, struct admin_target *target, struct order *order)
{
    int status = options_read(argc, argv, "h", OPTIONS, target, take, order);
    if (status < 0)
        status = finish(order, argc, argv);
    if (status >= 0)
        return status;
    char *body = json_dumps(order->body, JSON_COMPACT);
    status = daemon_ask(target, "POST", SLICE("/v1/purge"), body, ASK_MS);
    free(body);
    return status;
}

int cli_purge(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    struct order order = {.body = json_object(), .self = self};
    admin_target_init(&target, self);
    int status = purge(argc, argv, &target, &order);
    admin_target_fini(&target);
    json_decref(order.body);
    return status;
}
