/*
 * Where the daemon of a policy file listens for orders: all that `varve purge --config FILE` and
 * the like want of it. They are asked for in a hurry, by shells that lack the daemon's environment,
 * and while somebody is in the middle of editing the file. So only the few settings are read that
 * the answer depends on, and errors elsewhere are nobody's concern, not even in the syntax. But
 * another daemon must never be taken for this one: the default of store.path, which others may have
 * too, is taken only if all of the file could be read. That of admin.listen lies in the store, and
 * a store has one daemon: so with store.path it is taken in any case. Where the listener stands in
 * a part that could not be read, nobody answers there, and the caller can say why.
 */
#include "policy/loader.h"

#include <stdlib.h>
#include <unistd.h>

static size_t errors(const struct loader *l)
{
    return l->diag->count + l->diag->dropped;
}

/* Then it is not known which of the two is meant. */
static bool is_twice(const struct yaml_node *map, const char *key)
{
    const struct yaml_entry *entry = yaml_find(map, slice_of_string(key));
    return entry && entry->key->is_twice;
}

/* root[name], if it is a mapping; an error if it is anything else. */
static const struct yaml_node *section_node(struct loader *l, const struct yaml_node *root,
                                            const struct section *section)
{
    const struct yaml_node *node = yaml_get(root, slice_of_string(section->name));
    if (node && node->kind != YAML_MAP)
        section_parse(l, section, node, l->policy);
    return node;
}

/* One setting, with its variables. */
static void take(struct loader *l, const struct section *section, const char *key,
                 struct yaml_node *node, void *base)
{
    const struct setting *s = section_find(section, slice_of_string(key));
    if (!node)
        return;
    expand_tree(l, node);
    s->type->parse(l, s, node, base);
}

/* Of the listeners only the address: their ports name the store of others than root. */
static void take_addresses(struct loader *l, const struct yaml_node *root)
{
    struct policy *policy = l->policy;
    struct yaml_node *listen = yaml_get(root, SLICE("listen"));
    if (!listen)
        return;
    size_t count = listen->kind == YAML_LIST ? listen->count : 1;
    policy->listen = arena_array(l->arena, struct listen_config, count);
    policy->listen_count = count;
    for (size_t i = 0; i < count; i++) {
        struct yaml_node *item = listen->kind == YAML_LIST ? listen->items[i] : listen;
        struct yaml_node *address =
            item->kind == YAML_MAP ? yaml_get(item, SLICE("address")) : item;
        take(l, &section_listen, "address", address, &policy->listen[i]);
    }
}

/* The file does not say it: so does it say all? */
static void take_defaults(struct loader *l, const struct yaml_node *root)
{
    section_check_keys(l, &section_root, root);
    section_check_keys(l, &section_admin, yaml_get(root, SLICE("admin")));
    section_check_keys(l, &section_store, yaml_get(root, SLICE("store")));
    if (geteuid() != 0)
        take_addresses(l, root);
}

/* Nobody asks a unix socket's clients for a token. */
static bool wants_token_file(const struct policy *policy, bool wants_token)
{
    return wants_token && !slice_starts_with(policy->admin_listen, SLICE("unix:"));
}

/* What leads to the daemon was given twice. */
static bool is_unclear(const struct policy *policy, const struct yaml_node *root, bool wants_token)
{
    const struct yaml_node *admin = yaml_get(root, SLICE("admin"));
    if (is_twice(root, "admin") || is_twice(admin, "listen"))
        return true;
    if (policy->admin_listen.len == 0)
        return is_twice(root, "store") || is_twice(yaml_get(root, SLICE("store")), "path");
    return wants_token_file(policy, wants_token) && is_twice(admin, "token_file");
}

static bool find(struct loader *l, const struct yaml_node *root, bool wants_token)
{
    struct policy *policy = l->policy;
    size_t before = errors(l);
    const struct yaml_node *admin = section_node(l, root, &section_admin);
    const struct yaml_node *store = section_node(l, root, &section_store);
    section_defaults(l, &section_root, policy);
    take(l, &section_admin, "listen", yaml_get(admin, SLICE("listen")), policy);
    if (policy->admin_listen.len == 0)
        take(l, &section_store, "path", yaml_get(store, SLICE("path")), policy);
    else if (wants_token_file(policy, wants_token))
        take(l, &section_admin, "token_file", yaml_get(admin, SLICE("token_file")), policy);
    if (policy->admin_listen.len == 0 && policy->store_path.len == 0) {
        take_defaults(l, root);
        before = 0; /* also what could not be read might say it */
    }
    if (errors(l) > before || is_unclear(policy, root, wants_token))
        return false;
    settle_store_path(l);
    settle_admin_listen(l);
    return true;
}

bool policy_find_daemon(slice path, bool wants_token, struct arena *arena, struct diag *diag,
                        struct daemon_place *place)
{
    struct loader l;
    loader_init(&l, diag);
    l.may_read_files = l.is_client = true;
    l.policy->path = arena_copy(l.arena, path);
    struct yaml_node *root = read_policy_file(&l, l.policy->path);
    bool is_found = root && find(&l, root, wants_token);
    if (is_found)
        *place = (struct daemon_place){arena_copy(arena, l.policy->admin_listen),
                                       arena_copy(arena, l.policy->admin_token_file)};
    diag_sort(diag);
    arena_fini(&l.scratch);
    policy_free(l.policy);
    return is_found;
}
