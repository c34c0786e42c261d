/*
 * The way of a policy: file (or the built-in text of `varve run URL`) → tree with variables and
 * includes resolved → what the command line puts in place → rows of settings.def → what depends on
 * several settings → `struct policy`. Errors are gathered all the way; only a file without a tree
 * ends it early.
 */
#include "policy/loader.h"

#include <stdlib.h>

/* Semantics 10.4. Directories whose names are a framework's own hold hashed files that are the same
 * for everybody; /assets and /static may hold anything, so people who are logged in pass there. */
static const char run_policy[] =
    "routes:\n"
    "  - {match: \"/_next/static/**\", when_logged_in: cache, keep_old: 7d, assets: true}\n"
    "  - {match: \"/_nuxt/**\", when_logged_in: cache, keep_old: 7d, assets: true}\n"
    "  - {match: \"/_app/immutable/**\", when_logged_in: cache, keep_old: 7d, assets: true}\n"
    "  - {match: \"/_astro/**\", when_logged_in: cache, keep_old: 7d, assets: true}\n"
    "  - {match: \"/assets/**\", keep_old: 7d, assets: true}\n"
    "  - {match: \"/static/**\", keep_old: 7d, assets: true}\n"
    "  - match: \"/**\"\n"
    "    stale: {while_revalidate: response, if_error: 1d}\n"
    "    when_logged_in: pass\n";

void loader_init(struct loader *l, struct diag *diag)
{
    *l = (struct loader){.diag = diag, .policy = mem_alloc(sizeof(struct policy))};
    l->arena = &l->policy->arena;
    arena_init(l->arena);
    arena_init(&l->scratch);
    l->policy->warnings = arena_new(l->arena, struct diag);
    diag_init(l->policy->warnings, l->arena);
}

/* --- the command line --- */

/* A node whose errors name the option: `--listen: expected an address …`. */
static struct yaml_node *option_node(struct loader *l, slice value, const char *option)
{
    return yaml_scalar_new(&l->scratch, value, slice_of_string(option));
}

static struct yaml_node *key_node(struct loader *l, const char *key)
{
    return yaml_scalar_new(&l->scratch, slice_of_string(key), SLICE_NONE);
}

/* map[key] = value, where `map` is root[section] and is made if it is not there. */
static void set_in(struct loader *l, struct yaml_node *root, const char *section, const char *key,
                   struct yaml_node *value)
{
    struct yaml_node *map = yaml_get(root, slice_of_string(section));
    if (!map || map->kind != YAML_MAP) {
        map = yaml_empty_new(&l->scratch, YAML_MAP, value);
        yaml_set(&l->scratch, root, key_node(l, section), map);
    }
    yaml_set(&l->scratch, map, key_node(l, key), value);
}

/* In place of the workers of the first origin; without origins it is the renderer. */
static void set_origin(struct loader *l, struct yaml_node *root, struct yaml_node *url)
{
    struct yaml_node *origins = yaml_get(root, SLICE("origins"));
    struct yaml_entry *first =
        origins && origins->kind == YAML_MAP && origins->count ? &origins->entries[0] : NULL;
    const struct yaml_entry *spawn = first ? yaml_find(first->value, SLICE("spawn")) : NULL;
    if (spawn)
        fail(l, url,
             "origin \"%" SLICE_FMT "\" starts its workers itself (%" SLICE_FMT
             ":%u:%u): leave the "
             "URL out, or remove \"spawn\"",
             SLICE_ARG(first->key->text), SLICE_ARG(spawn->key->file), spawn->key->line,
             spawn->key->column);
    else if (first && first->value->kind == YAML_MAP)
        yaml_set(&l->scratch, first->value, key_node(l, "workers"), url);
    else
        yaml_set(&l->scratch, root, key_node(l, "renderer"), url);
}

static void apply_options(struct loader *l, struct yaml_node *root,
                          const struct policy_options *options)
{
    if (options->origin_url.len)
        set_origin(l, root, option_node(l, options->origin_url, "ORIGIN-URL"));
    if (options->listen.len)
        yaml_set(&l->scratch, root, key_node(l, "listen"),
                 option_node(l, options->listen, "--listen"));
    if (options->shell.len)
        set_in(l, root, "shell", "file", option_node(l, options->shell, "--shell"));
    if (options->store_path.len)
        set_in(l, root, "store", "path", option_node(l, options->store_path, "--store"));
}

/* --- loading --- */

static struct policy *build(struct loader *l, const struct yaml_node *root)
{
    l->root = root;
    if (root) {
        section_defaults(l, &section_root, l->policy);
        section_parse(l, &section_root, root, l->policy);
        finish_policy(l, root);
        if (l->diag->count == 0)
            find_warnings(l, root);
    }
    arena_fini(&l->scratch);
    if (root && l->diag->count == 0)
        return l->policy;
    diag_sort(l->diag);
    policy_free(l->policy);
    return NULL;
}

static struct yaml_node *read_text(struct loader *l, slice text, slice name)
{
    struct yaml_node *root = yaml_read(text, name, &l->scratch, l->diag);
    if (root && root->kind != YAML_MAP) {
        fail(l, root, "expected a mapping, such as \"renderer: http://127.0.0.1:3000\"");
        return NULL;
    }
    if (root)
        expand_tree(l, root);
    return root;
}

struct policy *policy_load(const struct policy_options *options, struct diag *diag)
{
    struct loader l;
    struct yaml_node *root;
    loader_init(&l, diag);
    l.may_read_files = true;
    l.checks_machine = !options->is_elsewhere;
    l.policy->path = arena_copy(l.arena, options->path);
    if (options->path.len)
        root = read_policy_file(&l, l.policy->path);
    else
        root = read_text(&l, slice_of_string(run_policy), SLICE("(built in)"));
    if (root)
        apply_options(&l, root, options);
    return build(&l, root);
}

struct policy *policy_load_text(slice text, slice name, struct diag *diag)
{
    struct loader l;
    loader_init(&l, diag);
    struct yaml_node *root = read_text(&l, text, name);
    const struct yaml_entry *include = yaml_find(root, SLICE("include"));
    if (include)
        fail(&l, include->key, "\"include\": works in a policy file only");
    return build(&l, root);
}

void policy_free(struct policy *policy)
{
    if (!policy)
        return;
    for (size_t i = 0; i < policy->vary_count; i++)
        for (size_t j = 0; j < policy->vary[i].map_count; j++)
            regex_free(policy->vary[i].map[j].match);
    for (size_t i = 0; i < policy->route_count; i++)
        for (size_t j = 0; j < policy->routes[i].reject_body_count; j++)
            regex_free(policy->routes[i].reject_body[j]);
    struct arena arena = policy->arena;
    arena_fini(&arena);
    free(policy);
}
