/* `varve mode`: shows how far visitors are kept from the renderers, or changes it. */
#include "edge/cli/mode.h"

#include "edge/cli/options.h"
#include "edge/proc/mode.h"

#include <stdio.h>

static const struct option OPTIONS[] = {DAEMON_OPTIONS_ROWS, {NULL, 0, NULL, 0}};

static int set_mode(struct admin_target *target, const char *word)
{
    enum mode mode;
    if (!mode_of_name(slice_of_string(word), &mode))
        return cli_usage(target->command, "\"%.40s\" is no mode: auto, ssr or shell", word);
    slice body = arena_printf(&target->arena, "{\"mode\": \"%s\"}", mode_name(mode).ptr);
    return daemon_ask(target, "POST", SLICE("/v1/mode"), body.ptr, ASK_MS);
}

int cli_mode(int argc, char **argv, const struct command *self)
{
    struct admin_target target;
    admin_target_init(&target, self);
    int status = options_read(argc, argv, "h", OPTIONS, &target, NULL, NULL);
    int words = argc - optind;
    if (status < 0 && words > 1)
        status = cli_usage(self, "wants one mode at most");
    else if (status < 0 && words == 1)
        status = set_mode(&target, argv[optind]);
    else if (status < 0)
        status = daemon_ask(&target, "GET", SLICE("/v1/mode"), NULL, ASK_MS);
    admin_target_fini(&target);
    return status;
}

const char *mode_notice(const json_t *stats)
{
    if (json_number_value(json_object_get(stats, "varve_mode{mode=\"shell\"}")) > 0)
        return "mode shell: whoever can have a stale page or the shell is not rendered for";
    if (json_number_value(json_object_get(stats, "varve_mode{mode=\"ssr\"}")) > 0)
        return "mode ssr: nobody gets the shell because of load or failure";
    return NULL;
}
