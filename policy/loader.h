/*
 * Inside the loader of the policy file (policy/load*.c), for nobody else. One row of settings.def
 * describes a setting: its type reads it from a YAML node, prints it for `varve check --effective`
 * and names it in the documentation; the row's default is itself YAML and goes through the same
 * reader. So parser, defaults, effective output and documentation cannot disagree.
 */
#pragma once

#include "base/token.h"
#include "base/user_file.h"
#include "base/yaml.h"
#include "policy/load.h"
#include "policy/units.h"

struct section;
struct setting;

struct loader {
    struct policy *policy;
    struct arena *arena;  /* the policy's: what stays */
    struct arena scratch; /* YAML trees: freed after loading */
    struct diag *diag;
    const struct yaml_node *root; /* of the whole policy, while it is read */
    bool may_read_files; /* false when loading from text: `include` and address files are refused */
    bool is_client;      /* load_client.c: what cannot be read is left out, variables come later */
    bool checks_machine; /* programs, files, directories and users that the policy names */
};

/* Text under construction: the effective policy. */
struct writer {
    char *bytes; /* malloc */
    size_t count, capacity;
    unsigned indent; /* spaces before the next line */
    bool is_item;    /* the next line begins a list item */
};

struct setting_type {
    const char *name;     /* in the documentation: "duration" */
    const char *expected; /* in errors: "a duration such as 30s, 5m or 1h" */
    /* Reads the node into `base` (the struct that the row's member belongs to). Errors go to diag.
     */
    void (*parse)(struct loader *l, const struct setting *s, const struct yaml_node *node,
                  void *base);
    /* Appends the value in force, one line of flow-style YAML; false: not set, print nothing. NULL
     * with a section: its settings are printed as a block. */
    bool (*print)(struct writer *w, const struct setting *s, const void *base);
    /* Instead of `print`: appends whole lines, the key too. */
    void (*print_block)(struct writer *w, const struct setting *s, const void *base);
};

struct setting {
    slice key;
    const struct setting_type *type; /* NULL: known, but not in this version */
    size_t offset, bytes;            /* of the member */
    const char *default_yaml;        /* NULL: computed, or nothing */
    const char *default_words;       /* what the documentation says when default_yaml is NULL */
    const char *words;               /* "strict|standard|off": in the order of the enum */
    uint64_t min, max;               /* numbers, sizes, durations in ms; max 0: the type's own */
    bool skips_empty;                /* not printed when empty */
    enum user_file_rule file;        /* a path: what there must be, on the machine that serves */
    bool is_read_as_root;            /* before `user` is taken on */
    const struct section *section;   /* settings inside */
    const char *path;                /* in the documentation, if not PARENT.KEY: "routes[]" */
};

struct section {
    const char *name;
    const struct setting *settings;
    size_t count;
};

#define SECTION(id, owner) extern const struct section section_##id;
#define SETTING(...)
#define LATER(...)
#define END_SECTION(id)
#include "policy/settings.def"
#undef SECTION
#undef SETTING
#undef LATER
#undef END_SECTION

/* --- load.c --- */

/* An empty policy, to be read into. */
void loader_init(struct loader *l, struct diag *diag);

/* --- load_settings.c --- */

/* Unknown keys are errors. Of what is no mapping: nothing. */
void section_check_keys(struct loader *l, const struct section *section,
                        const struct yaml_node *node);
void section_defaults(struct loader *l, const struct section *section, void *base);
/* Reads a mapping; unknown keys are errors. */
void section_parse(struct loader *l, const struct section *section, const struct yaml_node *node,
                   void *base);
void section_print(struct writer *w, const struct section *section, const void *base);
const struct setting *section_find(const struct section *section, slice key);
void fail_unknown_key(struct loader *l, const struct section *section, const struct yaml_node *key);

__attribute__((format(printf, 3, 4))) void fail(struct loader *l, const struct yaml_node *node,
                                                const char *format, ...);
/* `"slots": expected …, got …` */
void fail_expected(struct loader *l, const struct setting *s, const struct yaml_node *node,
                   const char *expected);
/* `expected one of a, b (did you mean "a"?)` */
void fail_word(struct loader *l, const struct setting *s, const struct yaml_node *node,
               const char *words);

/* --- load_values.c, load_texts.c --- */

/* The text of a scalar: not empty, no control bytes, valid UTF-8. A copy in the policy's arena. */
bool scalar_text(struct loader *l, const struct setting *s, const struct yaml_node *node,
                 slice *text);
/* The same for a word that a text is compared with; no error: false for lists and mappings. */
bool scalar_is(const struct yaml_node *node, const char *word);
/* Items of a list; a scalar counts as a list of one. False with an error for a mapping. */
bool node_items(struct loader *l, const struct setting *s, const struct yaml_node *node,
                const struct yaml_node *const **items, size_t *count);
bool parse_duration(struct loader *l, const struct setting *s, const struct yaml_node *node,
                    duration *value);
bool word_index(const char *words, slice text, unsigned *index);
slice word_at(const char *words, unsigned index);
bool is_identifier(slice text); /* names of origins and classes */
void *setting_member(const struct setting *s, void *base);
const void *setting_member_view(const struct setting *s, const void *base);

/* --- load_expand.c --- */

/* Replaces ${NAME} and ${NAME:-default} in every scalar of the tree; $${ stands for ${. */
void expand_tree(struct loader *l, struct yaml_node *node);

/* --- load_include.c --- */

/* Reads a regular file of at most YAML_BYTES_MAX; false with an error at `node` (or of the file).
 */
bool read_text_file(struct loader *l, slice path, const struct yaml_node *node, slice *text);
/* The file, expanded, with everything it includes; NULL after a syntax error. */
struct yaml_node *read_policy_file(struct loader *l, slice path);
/* A path as written in `file`, made relative to that file's directory; in the policy's arena. */
slice path_beside(struct arena *arena, slice file, slice path);

/* --- load_listen.c, load_origin.c, load_route.c --- */

/* HOST, HOST:PORT or [ADDRESS]:PORT; *port stays as it is where there is none. `host` is without
 * brackets. */
bool parse_authority(slice text, slice *host, uint16_t *port);
bool parse_worker_url(slice text, struct worker_config *worker, const char **problem);
struct origin_config *origin_named(const struct policy *policy, slice name);
/* NULL, or what is wrong with a route's pattern. */
const char *route_pattern_problem(slice pattern);

/* "expected one of …": the words (may be empty, "a|b") and the names of all origins. */
void fail_origin(struct loader *l, const struct setting *s, const struct yaml_node *node,
                 const char *words);

/* --- load_tags.c --- */

/* Names in the tags of a route that its pattern does not have. */
void check_tags(struct loader *l, const struct yaml_node *tags, const struct route *route);

/* --- load_files.c; only where the policy is to be served on this machine --- */

void check_file(struct loader *l, const struct setting *s, const struct yaml_node *node,
                slice path);
/* The `user` of a mapping, if it has one. */
void check_user(struct loader *l, const struct yaml_node *map);

/* --- load_probe.c --- */

/* `probe` without what it needs. */
void check_probe(struct loader *l, const struct yaml_node *node);

/* --- load_share.c --- */

/* `share` where there is nothing to share. */
void check_share(struct loader *l, const struct yaml_node *node,
                 const struct origin_config *origin);

/* --- load_shell.c --- */

/* Makes of the shell's origin what is asked of it; after the origins are settled. */
void finish_shell(struct loader *l, const struct yaml_node *root);

/* --- load_spawn.c --- */

/* Makes the workers of origins with `spawn`; after store.path and user are settled. */
void finish_spawn(struct loader *l, const struct yaml_node *root);

/* --- load_finish.c, load_hash.c --- */

/* Fills in what depends on other settings or on the machine, then checks what spans settings. */
void finish_policy(struct loader *l, const struct yaml_node *root);
void settle_store_path(struct loader *l); /* where the file does not give it; after the listeners */
void settle_admin_listen(struct loader *l); /* the same; after the store's */
uint64_t route_policy_hash(const struct policy *policy, const struct route *route);

/* --- load_warning.c --- */

__attribute__((format(printf, 3, 4))) void warn_at(struct loader *l, const struct yaml_node *node,
                                                   const char *format, ...);
/* Of a policy without errors; then all warnings are there, in order. */
void find_warnings(struct loader *l, const struct yaml_node *root);

/* --- load_machine.c; `root` is put before /proc and /sys: empty but in tests --- */

uint64_t machine_memory_bytes(const char *root); /* of the cgroup or the machine */
uint64_t machine_free_disk_bytes(slice path);    /* where `path` is or would be, path's own files
                                                    counted as free; 0: unknown */
unsigned machine_threads(const char *root);

/* --- load_effective.c --- */

__attribute__((format(printf, 2, 3))) void write_format(struct writer *w, const char *format, ...);
void write_scalar(struct writer *w, slice text); /* quoted if it must be */
void write_list(struct writer *w, const struct slices *texts);
void write_line_start(struct writer *w); /* indentation, "- " */
void write_key(struct writer *w, slice key);

#define TYPE(name) extern const struct setting_type setting_##name;
TYPE(boolean)
TYPE(text)
TYPE(path)
TYPE(field)
TYPE(count)
TYPE(percent)
TYPE(size)
TYPE(time)
TYPE(word)
TYPE(texts)
TYPE(fields)
TYPE(names)
TYPE(types)
TYPE(twins)
TYPE(section)
TYPE(include)
TYPE(listen)
TYPE(address)
TYPE(certificates)
TYPE(hosts)
TYPE(threads)
TYPE(addresses)
TYPE(error_pages)
TYPE(access_log)
TYPE(codings)
TYPE(methods)
TYPE(origins)
TYPE(renderer)
TYPE(workers)
TYPE(spawn)
TYPE(spawn_workers)
TYPE(spawn_listen)
TYPE(spawn_env)
TYPE(rate)
TYPE(share)
TYPE(set_headers)
TYPE(shell_origin)
TYPE(shell_target)
TYPE(shell_headers)
TYPE(origin_host)
TYPE(target)
TYPE(request_target)
TYPE(logged_in)
TYPE(identity_cookies)
TYPE(classes)
TYPE(class_addresses)
TYPE(class_name)
TYPE(vary)
TYPE(vary_map)
TYPE(vary_sort)
TYPE(routes)
TYPE(pattern)
TYPE(route_origin)
TYPE(lifetime)
TYPE(status_lifetimes)
TYPE(stale)
TYPE(query_keep)
TYPE(when_logged_in)
TYPE(on_failure)
TYPE(regexes)
TYPE(client_cache)
#undef TYPE
