/* What a policy file may say, but its writer hardly means: said by `varve check` and in the log. */
#include "policy/load.h"

static bool is_made_of_host(slice target)
{
    return slice_search(target, SLICE("{url}")) < target.len ||
           slice_search(target, SLICE("{host}")) < target.len;
}

/* The setting whose target clients can point at any address, with the origin's name in `arena`. */
static slice open_target(const struct policy *policy, struct arena *arena)
{
    if (policy->hosts.count)
        return SLICE_NONE;
    for (size_t i = 0; i < policy->origin_count; i++)
        if (is_made_of_host(policy->origins[i].target))
            return arena_concat(
                arena, (slice[]){SLICE("origins."), policy->origins[i].name, SLICE(".target")}, 3);
    return is_made_of_host(policy->shell_asked.target) ? SLICE("shell.target") : SLICE_NONE;
}

slice policy_warning(const struct policy *policy, struct arena *arena)
{
    slice setting = open_target(policy, arena);
    if (setting.len == 0)
        return SLICE_NONE;
    return arena_printf(arena,
                        "\"%" SLICE_FMT "\" is made of the Host that clients send, and \"hosts\" "
                        "names none: anybody can have any address rendered, also one of your own "
                        "network; add hosts: [your.site.example]",
                        SLICE_ARG(setting));
}
