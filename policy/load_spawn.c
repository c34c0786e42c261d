/*
 * `origins.NAME.spawn`: processes that varve starts and watches. They become the workers of their
 * origin here, each with an address of its own, so that nothing behind knows where workers come
 * from. What cannot work (no such program, no such user) is said while the file is checked, not
 * when the first process fails to start.
 */
#include "policy/loader.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    ERRORS_MAX = 1000000,
    RATE_TIME_MIN_MS = 1000,
    RATE_TIME_MAX_MS = 86400000,
};
enum { SPAWNED_MAX = 64, ENV_MAX = 64, PATH_BYTES = 4096, SOCKET_PATH_MAX = 107 };

/* --- one value each --- */

static void parse_spawn_workers(struct loader *l, const struct setting *s,
                                const struct yaml_node *node, void *base)
{
    struct spawn_config *spawn = &((struct origin_config *)base)->spawn;
    uint64_t value;
    if (scalar_is(node, "auto"))
        spawn->workers = machine_threads("") < SPAWNED_MAX ? machine_threads("") : SPAWNED_MAX;
    else if (node->kind == YAML_SCALAR && slice_to_u64(node->text, &value) && value >= 1 &&
             value <= SPAWNED_MAX)
        spawn->workers = (unsigned)value;
    else
        fail_expected(l, s, node, s->type->expected);
}

static bool print_spawn_workers(struct writer *w, const struct setting *s, const void *base)
{
    (void)s;
    write_format(w, "%u", ((const struct origin_config *)base)->spawn.workers);
    return true;
}

static void parse_spawn_listen(struct loader *l, const struct setting *s,
                               const struct yaml_node *node, void *base)
{
    struct spawn_config *spawn = &((struct origin_config *)base)->spawn;
    uint64_t value;
    if (scalar_is(node, "unix"))
        spawn->port = 0;
    else if (node->kind == YAML_SCALAR && slice_to_u64(node->text, &value) && value >= 1 &&
             value <= UINT16_MAX)
        spawn->port = (uint16_t)value;
    else
        fail_expected(l, s, node, s->type->expected);
}

static bool print_spawn_listen(struct writer *w, const struct setting *s, const void *base)
{
    const struct spawn_config *spawn = &((const struct origin_config *)base)->spawn;
    (void)s;
    if (spawn->port == 0)
        write_format(w, "unix");
    else
        write_format(w, "%u", spawn->port);
    return true;
}

static bool is_env_name(slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = ascii_lower(name.ptr[i]);
        bool is_digit = c >= '0' && c <= '9';
        if (!(c >= 'a' && c <= 'z') && c != '_' && !(is_digit && i > 0))
            return false;
    }
    return name.len > 0;
}

static void parse_variable(struct loader *l, const struct setting *s,
                           const struct yaml_entry *entry, struct spawn_config *spawn)
{
    slice name = arena_copy(l->arena, entry->key->text), value;
    if (!is_env_name(name))
        fail(l, entry->key, "\"env\": \"%" SLICE_FMT "\" is not the name of a variable",
             SLICE_ARG(slice_until(name, 60)));
    else if (slice_equal(name, SLICE("PORT")))
        fail(l, entry->key,
             "\"env\": varve sets PORT itself, another one for each process: remove it, and use "
             "\"listen\"");
    else if (scalar_text(l, s, entry->value, &value))
        spawn->env[spawn->env_count++] = (struct spawn_variable){name, value};
}

static void parse_spawn_env(struct loader *l, const struct setting *s, const struct yaml_node *node,
                            void *base)
{
    struct spawn_config *spawn = &((struct origin_config *)base)->spawn;
    if (node->kind != YAML_MAP || node->count > ENV_MAX) {
        fail_expected(l, s, node,
                      "a mapping of at most 64 variables, such as {NODE_ENV: "
                      "production}");
        return;
    }
    spawn->env = arena_array(l->arena, struct spawn_variable, node->count);
    for (size_t i = 0; i < node->count; i++)
        parse_variable(l, s, &node->entries[i], spawn);
}

static bool print_spawn_env(struct writer *w, const struct setting *s, const void *base)
{
    const struct spawn_config *spawn = &((const struct origin_config *)base)->spawn;
    (void)s;
    for (size_t i = 0; i < spawn->env_count; i++) {
        write_format(w, i ? ", " : "{");
        write_scalar(w, spawn->env[i].name);
        write_format(w, ": ");
        write_scalar(w, spawn->env[i].value);
    }
    write_format(w, "}");
    return spawn->env_count > 0;
}

/* 5/60s */
static void parse_rate(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    struct recycle_limits *recycle = &((struct origin_config *)base)->spawn.recycle;
    slice text = node->kind == YAML_SCALAR ? node->text : SLICE_NONE;
    size_t slash = slice_find(text, '/', 0);
    uint64_t errors;
    duration within;
    if (!slice_to_u64(slice_until(text, slash), &errors) || errors == 0 || errors > ERRORS_MAX ||
        !units_parse_duration(slice_from(text, slash + 1), &within) ||
        within.ms < RATE_TIME_MIN_MS || within.ms > RATE_TIME_MAX_MS) {
        fail_expected(l, s, node, s->type->expected);
        return;
    }
    recycle->errors = errors;
    recycle->errors_within = within;
}

static bool print_rate(struct writer *w, const struct setting *s, const void *base)
{
    const struct recycle_limits *recycle = &((const struct origin_config *)base)->spawn.recycle;
    char text[UNIT_TEXT_BYTES];
    (void)s;
    slice within = units_format_duration(recycle->errors_within, text);
    write_format(w, "%llu/%" SLICE_FMT, (unsigned long long)recycle->errors, SLICE_ARG(within));
    return recycle->errors > 0;
}

/* --- the mapping --- */

static void parse_spawn(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    struct spawn_config *spawn = &((struct origin_config *)base)->spawn;
    section_parse(l, s->section, node, base);
    spawn->is_set = true;
    const struct yaml_node *command = yaml_get(node, SLICE("command"));
    bool is_empty = !command || (command->kind == YAML_LIST && command->count == 0);
    if (node->kind == YAML_MAP && is_empty)
        fail(l, command ? command : node,
             "\"spawn\" needs a \"command\", such as [\"node\", \"server.js\"]");
}

static void print_spawn(struct writer *w, const struct setting *s, const void *base)
{
    if (((const struct origin_config *)base)->spawn.is_set)
        setting_section.print_block(w, s, base);
}

/* --- what there must be on this machine --- */

static slice path_variable(const struct spawn_config *spawn)
{
    const char *path = getenv("PATH");
    for (size_t i = 0; i < spawn->env_count; i++)
        if (slice_equal(spawn->env[i].name, SLICE("PATH")))
            return spawn->env[i].value;
    return path ? slice_of_string(path) : SLICE("/usr/local/bin:/usr/bin:/bin");
}

static bool is_program_in(slice directory, slice name, char path[PATH_BYTES])
{
    struct stat status;
    int length = snprintf(path, PATH_BYTES, "%" SLICE_FMT "/%" SLICE_FMT, SLICE_ARG(directory),
                          SLICE_ARG(name));
    return length < PATH_BYTES && stat(path, &status) == 0 && S_ISREG(status.st_mode) &&
           access(path, X_OK) == 0;
}

/* As a shell would find it; a name with a slash is one in `directory`. */
static bool find_program(struct loader *l, struct spawn_config *spawn)
{
    char path[PATH_BYTES];
    slice name = spawn->command.at[0], rest = path_variable(spawn), place;
    if (slice_find(name, '/', 0) < name.len)
        return is_program_in(name.ptr[0] == '/' ? SLICE_NONE : spawn->directory, name, path);
    while (slice_next(&rest, ':', &place)) {
        if (place.len == 0 || !is_program_in(place, name, path))
            continue;
        spawn->program = arena_copy(l->arena, slice_of_string(path));
        return true;
    }
    return false;
}

static void check_program(struct loader *l, const struct yaml_node *node,
                          struct spawn_config *spawn)
{
    const struct yaml_node *command = yaml_get(node, SLICE("command"));
    slice name = spawn->command.at[0];
    if (find_program(l, spawn))
        return;
    bool is_path = slice_find(name, '/', 0) < name.len;
    bool is_shell_line = spawn->command.count == 1 && slice_find(name, ' ', 0) < name.len;
    fail(l, command, "\"command\": there is no program \"%" SLICE_FMT "\" %s%s",
         SLICE_ARG(slice_until(name, 200)),
         is_path ? "that can be executed: give its path, from \"directory\""
                 : "in PATH: install it, or give its path",
         is_shell_line ? "; write each word as an item of its own: [\"node\", \"server.js\"]" : "");
}

static void check_directory(struct loader *l, const struct yaml_node *node,
                            const struct spawn_config *spawn)
{
    struct stat status;
    const struct yaml_node *directory = yaml_get(node, SLICE("directory"));
    if (stat(spawn->directory.ptr, &status) != 0 || !S_ISDIR(status.st_mode))
        fail(l, directory ? directory : node,
             "\"directory\": \"%" SLICE_FMT "\" is not a directory: make it, or give another one",
             SLICE_ARG(slice_until(spawn->directory, 300)));
}

/* A socket lies in the store, where only varve's own user may go. */
static void check_socket_user(struct loader *l, const struct yaml_node *node,
                              const struct spawn_config *spawn)
{
    if (spawn->port == 0 && geteuid() == 0 && !slice_equal(spawn->user, l->policy->user))
        fail(l, yaml_get(node, SLICE("listen")),
             "\"listen\": unix sockets are made in the store, which belongs to varve's own "
             "\"user\": give a port, or the same user to both");
}

/* --- the workers --- */

static slice url_of(struct loader *l, const struct origin_config *origin, unsigned index)
{
    if (origin->spawn.port)
        return arena_printf(l->arena, "http://127.0.0.1:%u", origin->spawn.port + index);
    return arena_printf(l->arena, "unix:%" SLICE_FMT "/run/%" SLICE_FMT "-%u.sock",
                        SLICE_ARG(l->policy->store_path), SLICE_ARG(origin->name), index);
}

static void fill_workers(struct loader *l, const struct yaml_node *node,
                         struct origin_config *origin)
{
    const struct spawn_config *spawn = &origin->spawn;
    const char *problem;
    origin->workers = arena_array(l->arena, struct worker_config, spawn->workers);
    origin->worker_count = 0;
    for (unsigned i = 0; i < spawn->workers; i++) {
        slice url = url_of(l, origin, i);
        if (spawn->port + i > UINT16_MAX || !parse_worker_url(url, &origin->workers[i], &problem)) {
            fail(l, node, "\"listen\": \"%" SLICE_FMT "\" is not possible: %s",
                 SLICE_ARG(slice_until(url, 200)),
                 spawn->port ? "give a lower port"
                             : "the path of a socket has at most 107 bytes; give a port");
            return;
        }
        origin->worker_count++;
    }
}

static void check_ports(struct loader *l, const struct yaml_node *node, size_t index)
{
    const struct origin_config *origins = l->policy->origins;
    const struct spawn_config *mine = &origins[index].spawn;
    for (size_t i = 0; i < index; i++) {
        const struct spawn_config *other = &origins[i].spawn;
        if (!other->is_set || !mine->port || !other->port ||
            mine->port >= other->port + other->workers || other->port >= mine->port + mine->workers)
            continue;
        fail(l, node,
             "\"listen\": the ports from %u on are those of origin \"%" SLICE_FMT
             "\": give another one to one of them",
             mine->port, SLICE_ARG(origins[i].name));
    }
}

static void settle_defaults(struct loader *l, struct spawn_config *spawn)
{
    if (spawn->directory.len == 0) { /* of the file, as for all its paths */
        slice directory = path_beside(l->arena, l->policy->path, SLICE("."));
        if (directory.len > 2) /* without the "/." */
            directory = arena_copy(l->arena, slice_until(directory, directory.len - 2));
        spawn->directory = directory;
    }
    if (spawn->user.len == 0)
        spawn->user = l->policy->user;
}

void finish_spawn(struct loader *l, const struct yaml_node *root)
{
    const struct yaml_node *origins = yaml_get(root, SLICE("origins"));
    for (size_t i = 0; i < l->policy->origin_count; i++) {
        struct origin_config *origin = &l->policy->origins[i];
        const struct yaml_node *node = yaml_get(yaml_get(origins, origin->name), SLICE("spawn"));
        const struct yaml_node *listen = yaml_get(node, SLICE("listen"));
        struct spawn_config *spawn = &origin->spawn;
        if (!spawn->is_set || spawn->command.count == 0 || origin->worker_count > 0)
            continue;
        settle_defaults(l, spawn);
        fill_workers(l, listen ? listen : node, origin);
        check_ports(l, listen ? listen : node, i);
        spawn->program = spawn->command.at[0];
        if (!l->checks_machine)
            continue;
        check_program(l, node, spawn);
        check_directory(l, node, spawn);
        check_user(l, node);
        check_socket_user(l, node, spawn);
    }
}

const struct setting_type setting_spawn = {
    .name = "mapping", .parse = parse_spawn, .print_block = print_spawn};
const struct setting_type setting_spawn_workers = {.name = "auto or number",
                                                   .expected = "auto, or a number from 1 to 64",
                                                   .parse = parse_spawn_workers,
                                                   .print = print_spawn_workers};
const struct setting_type setting_spawn_listen = {
    .name = "port or unix",
    .expected = "the first port of its processes, such as 13001, or unix",
    .parse = parse_spawn_listen,
    .print = print_spawn_listen};
const struct setting_type setting_spawn_env = {
    .name = "name: text", .parse = parse_spawn_env, .print = print_spawn_env};
const struct setting_type setting_rate = {
    .name = "number/duration",
    .expected = "a number of errors in a time from 1s to 1d, such as 5/60s",
    .parse = parse_rate,
    .print = print_rate};
