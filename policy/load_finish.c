/* What one row alone cannot decide: defaults that depend on other settings or on the machine, and
 * checks that span settings. */
#include "base/address.h"
#include "policy/loader.h"

#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>

/* Of the first TCP listener: it keeps the stores of several `varve run` apart. */
static unsigned first_port(const struct policy *policy)
{
    struct address address;
    for (size_t i = 0; i < policy->listen_count; i++)
        if (address_parse(policy->listen[i].address, &address) && address.port)
            return address.port;
    return 0;
}

static slice home_directory(void)
{
    const char *home = getenv("HOME");
    const struct passwd *user = home && *home == '/' ? NULL : getpwuid(geteuid());
    return slice_of_string(user ? user->pw_dir : home);
}

void settle_store_path(struct loader *l)
{
    struct policy *policy = l->policy;
    if (policy->store_path.len == 0 && geteuid() == 0)
        policy->store_path = SLICE("/var/lib/varve");
    else if (policy->store_path.len == 0)
        policy->store_path = arena_printf(l->arena, "%" SLICE_FMT "/.cache/varve/%u",
                                          SLICE_ARG(home_directory()), first_port(policy));
}

static void settle_store(struct loader *l)
{
    struct policy *policy = l->policy;
    uint64_t quarter = machine_memory_bytes("") / 4, half;
    settle_store_path(l);
    if (policy->memory_bytes == 0)
        policy->memory_bytes = quarter < 512ull << 20 ? quarter & ~0xfffffull : 512ull << 20;
    if (policy->memory_bytes == 0)
        policy->memory_bytes = 1 << 20;
    if (policy->store_bytes)
        return;
    policy->store_bytes_is_default = true;
    half = machine_free_disk_bytes(policy->store_path) / 2 & ~0xfffffull;
    policy->store_bytes = half == 0 ? 1 << 20 : half < 8ull << 30 ? half : 8ull << 30;
}

static void settle_people(struct loader *l)
{
    struct policy *policy = l->policy;
    if (!policy->classes)
        policy->classes = arena_new(l->arena, struct class_config);
    const struct class_config *last = &policy->classes[policy->class_count];
    if (policy->class_count && last[-1].user_agent.count == 0 && !last[-1].has_ip_ranges)
        return;
    policy->classes[policy->class_count++] =
        (struct class_config){.name = SLICE("people"), .renders = true};
}

static void settle_drain(struct policy *policy)
{
    duration longest = {0};
    for (size_t i = 0; i < policy->origin_count; i++)
        if (policy->origins[i].slot_max.ms > longest.ms)
            longest = policy->origins[i].slot_max;
    policy->reload_drain = duration_add(longest, duration_of_seconds(5));
}

static void settle_routes(struct loader *l)
{
    struct policy *policy = l->policy;
    struct route *pass = &policy->route_pass;
    section_defaults(l, &section_route, pass);
    pass->is_cacheable = false;
    pass->match = SLICE("-");
    pass->index = (unsigned)policy->route_count;
    pass->origin = policy->origin_count ? &policy->origins[0] : NULL;
    pass->on_failure[pass->on_failure_count++] = FALLBACK_STALE;
    if (policy_has_shell(policy))
        pass->on_failure[pass->on_failure_count++] = FALLBACK_SHELL;
    if (l->diag->count) /* a route may be without its origin, and nobody will see the hash */
        return;
    for (size_t i = 0; i < policy->route_count; i++)
        policy->routes[i].policy_hash = route_policy_hash(policy, &policy->routes[i]);
    pass->policy_hash = route_policy_hash(policy, pass);
}

void settle_admin_listen(struct loader *l)
{
    struct policy *policy = l->policy;
    if (policy->admin_listen.len == 0)
        policy->admin_listen =
            arena_printf(l->arena, "unix:%" SLICE_FMT "/admin.sock", SLICE_ARG(policy->store_path));
}

/* The path of the store may not leave room for it. */
static void check_admin_path(struct loader *l, const struct yaml_node *root)
{
    const struct yaml_node *path = yaml_get(yaml_get(root, SLICE("store")), SLICE("path"));
    struct address address;
    if (!address_parse(l->policy->admin_listen, &address))
        fail(l, path ? path : root,
             "\"store\": a unix socket in it would have a path of more than 107 bytes: give "
             "\"admin\" an address of its own, or a shorter \"path\"");
}

static void check_admin(struct loader *l, const struct yaml_node *root)
{
    struct policy *policy = l->policy;
    const struct yaml_node *admin = yaml_get(root, SLICE("admin"));
    const struct yaml_node *listen = yaml_get(admin, SLICE("listen"));
    if (listen && policy->admin_listen.len &&
        !slice_starts_with(policy->admin_listen, SLICE("unix:")) &&
        !yaml_get(admin, SLICE("token_file")))
        fail(l, listen,
             "\"admin\": an address that is no unix socket needs a \"token_file\": add one, or use "
             "unix:/path");
    settle_admin_listen(l);
    check_admin_path(l, root);
}

/* What opens PURGE is `methods` and `allow` together; an empty list of either closes it on purpose.
 */
static void check_purge(struct loader *l, const struct yaml_node *root)
{
    const struct policy *policy = l->policy;
    const struct yaml_node *purge = yaml_get(root, SLICE("purge"));
    const struct yaml_node *methods = yaml_get(purge, SLICE("methods"));
    const struct yaml_node *allow = yaml_get(purge, SLICE("allow"));
    if (policy->purge_methods.count && policy->purge_allow.count == 0 && !allow)
        fail(l, methods,
             "\"purge\": methods without \"allow\", so nobody may purge: add "
             "allow: [127.0.0.0/8, \"::1\"]");
    if (policy->purge_allow.count && policy->purge_methods.count == 0 && !methods)
        fail(l, allow,
             "\"purge\": \"allow\" without methods, so nobody may purge: add methods: [PURGE]");
}

/* One body of the greatest size has to find room, or it would be refused for ever (semantics 9.5).
 * Whatever `per_client` says, an address may hold one. */
static void check_bodies(struct loader *l, const struct yaml_node *root)
{
    const struct policy *policy = l->policy;
    const struct yaml_node *limits = yaml_get(root, SLICE("limits"));
    const struct yaml_node *one = yaml_get(limits, SLICE("request_body"));
    const struct yaml_node *all = yaml_get(limits, SLICE("request_bodies"));
    if ((one || all) && policy->limits.request_body_bytes > policy->limits.request_bodies_bytes)
        fail(l, one ? one : all,
             "\"limits\": \"request_body\"%s is more than \"request_bodies\"%s: the largest would "
             "always be refused; raise request_bodies, or lower request_body",
             one ? "" : " (16MiB by default)", all ? "" : " (256MiB by default)");
}

static void check_redirect(struct loader *l, const struct yaml_node *root)
{
    const struct policy *policy = l->policy;
    bool has_plain = false;
    for (size_t i = 0; i < policy->listen_count; i++)
        has_plain |= policy->listen[i].tls_count == 0;
    if (policy->redirect_http && !has_plain)
        fail(l, yaml_get(root, SLICE("redirect_http")),
             "\"redirect_http\": every listener has TLS, so there is nothing to redirect: remove "
             "it");
}

static void check_origins(struct loader *l, const struct yaml_node *root)
{
    if (l->policy->origin_count == 0 && !yaml_get(root, SLICE("origins")) &&
        !yaml_get(root, SLICE("renderer")))
        diag_add(l->diag, root->file, 0, 0,
                 "no origin: add \"renderer: http://127.0.0.1:3000\" or \"origins\"");
}

void finish_policy(struct loader *l, const struct yaml_node *root)
{
    struct policy *policy = l->policy;
    check_origins(l, root);
    settle_store(l);
    finish_spawn(l, root);
    settle_people(l);
    if (!yaml_get(yaml_get(root, SLICE("reload")), SLICE("drain")))
        settle_drain(policy);
    settle_routes(l);
    check_admin(l, root);
    check_purge(l, root);
    check_bodies(l, root);
    check_redirect(l, root);
    finish_shell(l, root);
    check_user(l, root);
}
