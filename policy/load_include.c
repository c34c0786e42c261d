/*
 * The policy file with what it includes, as one tree. Included files give keys of the top level;
 * lists of routes are joined in the order in which the files stand, origins by name; anything else
 * given twice is an error, since "the last one wins" hides mistakes. Each node remembers its file.
 */
#include "policy/loader.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 8, FILES_MAX = 200 };

struct merge {
    struct loader *l;
    struct yaml_node *root; /* what has been gathered */
    unsigned depth;
    size_t files;
};

static const char *problem_of(const struct stat *status)
{
    if (S_ISDIR(status->st_mode))
        return "is a directory";
    if (!S_ISREG(status->st_mode))
        return "is not a file";
    return status->st_size > YAML_BYTES_MAX ? "is larger than 1MiB" : NULL;
}

static bool read_all(int fd, char *bytes, size_t *length)
{
    size_t used = 0;
    while (used < *length) {
        ssize_t got = read(fd, bytes + used, *length - used);
        if (got < 0 && errno != EINTR)
            return false;
        if (got == 0)
            break;
        used += got > 0 ? (size_t)got : 0;
    }
    *length = used;
    return true;
}

/* `node` names the file; NULL: the command line does. */
static void fail_to_read(struct loader *l, slice path, const struct yaml_node *node,
                         const char *problem, bool is_missing)
{
    if (node)
        fail(l, node, "cannot read \"%" SLICE_FMT "\": %s", SLICE_ARG(path), problem);
    else if (is_missing)
        diag_add(l->diag, path, 0, 0,
                 "there is no such file: `varve init` writes one, --config FILE names another");
    else
        diag_add(l->diag, path, 0, 0, "cannot read the file: %s", problem);
}

bool read_text_file(struct loader *l, slice path, const struct yaml_node *node, slice *text)
{
    const char *name = arena_copy(&l->scratch, path).ptr;
    struct stat status;
    int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    bool is_missing = fd < 0 && errno == ENOENT;
    const char *problem = fd < 0 || fstat(fd, &status) != 0 ? strerror(errno) : problem_of(&status);
    if (!problem) {
        size_t length = (size_t)status.st_size;
        char *bytes = arena_alloc(&l->scratch, length + 1);
        if (read_all(fd, bytes, &length))
            *text = slice_of(bytes, length);
        else
            problem = strerror(errno);
    }
    if (problem)
        fail_to_read(l, path, node, problem, is_missing);
    if (fd >= 0)
        close(fd);
    return problem == NULL;
}

slice path_beside(struct arena *arena, slice file, slice path)
{
    size_t directory = file.len;
    while (directory > 0 && file.ptr[directory - 1] != '/')
        directory--;
    if (path.len == 0 || path.ptr[0] == '/' || directory == 0)
        return arena_copy(arena, path);
    slice parts[] = {slice_until(file, directory), path};
    return arena_concat(arena, parts, 2);
}

static void merge_file(struct merge *m, slice path, const struct yaml_node *node);

static void include_pattern(struct merge *m, const struct yaml_node *node)
{
    if (node->kind != YAML_SCALAR || node->text.len == 0) {
        fail(m->l, node, "\"include\": expected a file pattern such as policy.d/*.yaml");
        return;
    }
    slice pattern = path_beside(&m->l->scratch, node->file, node->text);
    bool has_wildcard = slice_find(pattern, '*', 0) < pattern.len ||
                        slice_find(pattern, '?', 0) < pattern.len ||
                        slice_find(pattern, '[', 0) < pattern.len;
    if (!has_wildcard) {
        merge_file(m, pattern, node);
        return;
    }
    glob_t found = {0};
    int result = glob(pattern.ptr, 0, NULL, &found);
    /* a pattern that matches nothing is an empty policy.d: no error */
    if (result != 0 && result != GLOB_NOMATCH)
        fail(m->l, node, "cannot read \"%" SLICE_FMT "\"", SLICE_ARG(pattern));
    for (size_t i = 0; result == 0 && i < found.gl_pathc; i++)
        merge_file(m, arena_copy(&m->l->scratch, slice_of_string(found.gl_pathv[i])), node);
    globfree(&found);
}

static void include_all(struct merge *m, const struct yaml_node *node)
{
    if (node->kind == YAML_MAP) {
        fail(m->l, node, "\"include\": expected a list of file patterns, got a mapping");
        return;
    }
    if (node->kind == YAML_SCALAR)
        include_pattern(m, node);
    for (size_t i = 0; node->kind == YAML_LIST && i < node->count; i++)
        include_pattern(m, node->items[i]);
}

static void fail_twice(struct merge *m, const struct yaml_node *key, struct yaml_node *first)
{
    first->is_twice = true;
    fail(m->l, key,
         "\"%" SLICE_FMT "\" is already set in %" SLICE_FMT ":%u:%u: keep one of the two",
         SLICE_ARG(key->text), SLICE_ARG(first->file), first->line, first->column);
}

/* Adds all of `from` to `into`, entry by entry. */
static void join_origins(struct merge *m, struct yaml_node *into, const struct yaml_node *from)
{
    for (size_t i = 0; i < from->count; i++) {
        struct yaml_entry *entry = &from->entries[i];
        const struct yaml_entry *first = yaml_find(into, entry->key->text);
        if (first)
            fail_twice(m, entry->key, first->key);
        else
            yaml_set(&m->l->scratch, into, entry->key, entry->value);
    }
}

static void merge_entry(struct merge *m, struct yaml_node *key, struct yaml_node *value)
{
    struct yaml_entry *first = yaml_find(m->root, key->text);
    bool is_routes = slice_equal(key->text, SLICE("routes"));
    bool is_origins = slice_equal(key->text, SLICE("origins"));
    if (!first)
        yaml_set(&m->l->scratch, m->root, key, value);
    else if (is_routes && first->value->kind == YAML_LIST && value->kind == YAML_LIST)
        for (size_t i = 0; i < value->count; i++)
            yaml_append(&m->l->scratch, first->value, value->items[i]);
    else if (is_origins && first->value->kind == YAML_MAP && value->kind == YAML_MAP)
        join_origins(m, first->value, value);
    else
        fail_twice(m, key, first->key);
}

static void merge_tree(struct merge *m, struct yaml_node *tree)
{
    for (size_t i = 0; i < tree->count; i++) {
        struct yaml_node *key = tree->entries[i].key, *value = tree->entries[i].value;
        bool is_include = slice_equal(key->text, SLICE("include"));
        if (is_include || !m->l->is_client)
            expand_tree(m->l, value);
        if (is_include)
            include_all(m, value);
        else
            merge_entry(m, key, value);
    }
}

/* False if the file has no tree at all. */
static bool merge_text(struct merge *m, slice path, slice text)
{
    struct loader *l = m->l;
    struct yaml_node *tree = l->is_client ? yaml_read_part(text, path, &l->scratch, l->diag)
                                          : yaml_read(text, path, &l->scratch, l->diag);
    if (!tree)
        return false;
    if (tree->kind != YAML_MAP) {
        fail(m->l, tree, "expected a mapping, such as \"renderer: http://127.0.0.1:3000\"");
        return false;
    }
    merge_tree(m, tree);
    return true;
}

static void merge_file(struct merge *m, slice path, const struct yaml_node *node)
{
    slice text;
    if (m->depth == DEPTH_MAX || m->files == FILES_MAX) {
        fail(m->l, node, "\"include\": %s",
             m->depth == DEPTH_MAX
                 ? "nested too deeply (the limit is 8): does a file include itself?"
                 : "too many files (the limit is 200)");
        return;
    }
    if (!read_text_file(m->l, path, node, &text))
        return;
    m->depth++;
    m->files++;
    merge_text(m, path, text);
    m->depth--;
}

struct yaml_node *read_policy_file(struct loader *l, slice path)
{
    struct yaml_node start = {.kind = YAML_MAP, .file = path, .line = 1, .column = 1};
    struct merge m = {.l = l, .root = yaml_empty_new(&l->scratch, YAML_MAP, &start)};
    slice text;
    if (!read_text_file(l, path, NULL, &text) || !merge_text(&m, path, text))
        return NULL;
    return m.root;
}
