/*
 * YAML as a tree in which every node knows its file, line and column, so that whoever reads it can
 * say exactly what is wrong where. Scalars stay text: what "on" or "1e3" means is the reader's
 * affair. Read with libyaml's event parser.
 *
 * Refused, each with its position: anchors, aliases and tags (an alias can make a small file
 * enormous), more than one document, keys that are not plain text, a key given twice, more depth,
 * nodes or bytes than the limits below. JSON is a subset of YAML, so JSON files can be read too.
 */
#pragma once

#include "base/diag.h"

enum {
    YAML_BYTES_MAX = 1 << 20,
    YAML_NODES_MAX = 50000,
    YAML_DEPTH_MAX = 32,
    YAML_KEYS_MAX = 1000 /* in one mapping */
};

enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node;

struct yaml_entry {
    struct yaml_node *key; /* always a scalar */
    struct yaml_node *value;
};

struct yaml_node {
    enum yaml_kind kind;
    bool is_plain;         /* YAML_SCALAR: written without quotes */
    bool is_reported;      /* for the reader: what is wrong here has been said already */
    bool is_twice;         /* a key: it came again with another value, which was left out */
    unsigned line, column; /* from 1 */
    slice file;
    slice text;                 /* YAML_SCALAR */
    struct yaml_node **items;   /* YAML_LIST */
    struct yaml_entry *entries; /* YAML_MAP, in the order of the file */
    size_t count;               /* of items or entries */
};

/*
 * The tree of `text`, in `arena`; `file` is kept as a view and only names the text in errors. NULL
 * after an error in the syntax; otherwise a tree, even if errors (a key given twice, say) were
 * added to `diag`. An empty document is an empty mapping. Thread-safe.
 */
struct yaml_node *yaml_read(slice text, slice file, struct arena *arena, struct diag *diag);

/* The same, but after an error in the syntax the tree of what stands before it; NULL only if that
 * is nothing. A text that the error may have cut, or run together with more, is left out with its
 * key. */
struct yaml_node *yaml_read_part(slice text, slice file, struct arena *arena, struct diag *diag);

/* Value of a key, or NULL; NULL too if `map` is not a mapping. */
struct yaml_node *yaml_get(const struct yaml_node *map, slice key);
/* The entry itself, for its key's position. */
struct yaml_entry *yaml_find(const struct yaml_node *map, slice key);
/* A plain scalar for places where no file exists, such as the command line: line 0. */
struct yaml_node *yaml_scalar_new(struct arena *arena, slice text, slice file);
/* Adds an entry, or replaces the value of the key. */
void yaml_set(struct arena *arena, struct yaml_node *map, struct yaml_node *key,
              struct yaml_node *value);
/* An empty mapping or list at the position of `at`. */
struct yaml_node *yaml_empty_new(struct arena *arena, enum yaml_kind kind,
                                 const struct yaml_node *at);
/* Adds an item to a list. */
void yaml_append(struct arena *arena, struct yaml_node *list, struct yaml_node *item);
