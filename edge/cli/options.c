/* See options.h. */
#include "edge/cli/options.h"

#include "edge/cli/print.h"

static bool take_common(int option, slice value, struct admin_target *target)
{
    switch (option) {
    case OPTION_ADMIN:
        target->address = value;
        return true;
    case OPTION_CONFIG:
        target->config = value;
        return true;
    case OPTION_TOKEN_FILE:
        target->token_file = value;
        return true;
    case OPTION_JSON:
        target->wants_json = true;
        return true;
    default:
        return false;
    }
}

int options_read(int argc, char **argv, const char *short_options, const struct option *rows,
                 struct admin_target *target, option_taker take, void *arg)
{
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, short_options, rows, NULL)) != -1;) {
        slice value = slice_of_string(optarg);
        if (option == OPTION_HELP || option == 'h')
            return cli_help(target->command);
        if (take_common(option, value, target))
            continue;
        if (option == '?') { /* getopt has said what is wrong */
            fprintf(stderr, "try: varve %s --help\n", target->command->name);
            return CLI_USAGE;
        }
        if (!take || !take(option, value, arg))
            return CLI_USAGE;
    }
    return -1;
}

int daemon_ask(struct admin_target *target, const char *method, slice path, const char *body,
               int timeout_ms)
{
    struct admin_answer answer = {0};
    int status = admin_find(target);
    if (status == CLI_OK)
        status = admin_request(target, method, path, body, timeout_ms, &answer);
    if (status == CLI_OK) {
        status = admin_judge(target, &answer);
        if (status == CLI_OK || target->wants_json)
            print_answer(&answer, target->wants_json);
    }
    admin_answer_fini(&answer);
    return status;
}
