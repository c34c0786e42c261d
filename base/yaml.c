/* libyaml's events made into a tree. Depth is limited, so the recursion is too. */
#include "base/yaml.h"

#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    slice file;
    struct arena *arena;
    struct diag *diag;
    size_t nodes;
    unsigned depth;
    bool keeps_part; /* what was read before an error */
    bool is_broken;  /* by an error: nothing behind it can be understood */
};

static void fail_at(struct reader *r, yaml_mark_t mark, const char *text)
{
    diag_add(r->diag, r->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1, "%s", text);
}

/* libyaml knows only the byte where the encoding is wrong. */
static yaml_mark_t mark_of_offset(slice text, size_t offset)
{
    yaml_mark_t mark = {.index = offset};
    for (size_t i = 0; i < offset && i < text.len; i++) {
        mark.column++;
        if (text.ptr[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static bool next_event(struct reader *r, slice text, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return true;
    bool is_encoding = r->parser.error == YAML_READER_ERROR;
    yaml_mark_t mark =
        is_encoding ? mark_of_offset(text, r->parser.problem_offset) : r->parser.problem_mark;
    diag_add(r->diag, r->file, (unsigned)mark.line + 1, (unsigned)mark.column + 1,
             "not valid YAML: %s%s%s", r->parser.problem ? r->parser.problem : "out of memory",
             r->parser.context ? " " : "", r->parser.context ? r->parser.context : "");
    return false;
}

static struct yaml_node *node_new(struct reader *r, enum yaml_kind kind, yaml_mark_t mark)
{
    struct yaml_node *node = arena_new(r->arena, struct yaml_node);
    node->kind = kind;
    node->line = (unsigned)mark.line + 1;
    node->column = (unsigned)mark.column + 1;
    node->file = r->file;
    return node;
}

static size_t grown_capacity(size_t count)
{
    return count ? count * 2 : 4;
}

static bool is_full(size_t count) /* capacities are 0, 4, 8, 16, … */
{
    return count == 0 || (count >= 4 && (count & (count - 1)) == 0);
}

void yaml_append(struct arena *arena, struct yaml_node *list, struct yaml_node *item)
{
    if (is_full(list->count)) {
        struct yaml_node **items =
            arena_array(arena, struct yaml_node *, grown_capacity(list->count));
        if (list->count)
            memcpy(items, list->items, list->count * sizeof(struct yaml_node *));
        list->items = items;
    }
    list->items[list->count++] = item;
}

static void entry_add(struct arena *arena, struct yaml_node *map, struct yaml_node *key,
                      struct yaml_node *value)
{
    if (is_full(map->count)) {
        struct yaml_entry *entries =
            arena_array(arena, struct yaml_entry, grown_capacity(map->count));
        if (map->count)
            memcpy(entries, map->entries, map->count * sizeof(struct yaml_entry));
        map->entries = entries;
    }
    map->entries[map->count++] = (struct yaml_entry){key, value};
}

static bool has_anchor_or_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

static struct yaml_node *scalar_of(struct reader *r, const yaml_event_t *event)
{
    struct yaml_node *node = node_new(r, YAML_SCALAR, event->start_mark);
    const char *value = (const char *)event->data.scalar.value;
    node->text = arena_copy(r->arena, slice_of(value, event->data.scalar.length));
    node->is_plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return node;
}

static struct yaml_node *node_of(struct reader *r, slice text, const yaml_event_t *event);

/* The next node of the input; NULL at the end of the collection (*ended) or after an error. */
static struct yaml_node *read_node(struct reader *r, slice text, bool *ended)
{
    yaml_event_t event;
    *ended = false;
    if (r->is_broken || !next_event(r, text, &event)) {
        r->is_broken = true;
        return NULL;
    }
    struct yaml_node *node = NULL;
    *ended = event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT;
    if (!*ended)
        node = node_of(r, text, &event);
    r->is_broken |= !node && !*ended;
    yaml_event_delete(&event);
    return node;
}

static bool read_list(struct reader *r, slice text, struct yaml_node *list)
{
    for (;;) {
        bool ended;
        struct yaml_node *item = read_node(r, text, &ended);
        if (!item)
            return ended;
        yaml_append(r->arena, list, item);
    }
}

static void add_unless_twice(struct reader *r, struct yaml_node *map, struct yaml_node *key,
                             struct yaml_node *value)
{
    const struct yaml_entry *first = yaml_find(map, key->text);
    if (!first) {
        entry_add(r->arena, map, key, value);
        return;
    }
    first->key->is_twice = true;
    diag_add(r->diag, r->file, key->line, key->column,
             "duplicate key \"%" SLICE_FMT "\"; the first is in line %u", SLICE_ARG(key->text),
             first->key->line);
}

/* A text is cut or run together with what follows where the syntax breaks: no word of it holds. */
static void drop_last_text(struct yaml_node *map)
{
    if (map->count && map->entries[map->count - 1].value->kind == YAML_SCALAR)
        map->count--;
}

static bool read_map(struct reader *r, slice text, struct yaml_node *map)
{
    for (;;) {
        bool ended;
        struct yaml_node *key = read_node(r, text, &ended);
        if (!key) {
            if (!ended)
                drop_last_text(map);
            return ended;
        }
        struct yaml_node *value = read_node(r, text, &ended);
        if (!value)
            return false;
        yaml_mark_t mark = {.line = key->line - 1, .column = key->column - 1};
        if (key->kind != YAML_SCALAR) {
            fail_at(r, mark, "a key must be text");
        } else if (map->count == YAML_KEYS_MAX) {
            fail_at(r, mark, "too many keys in one mapping (the limit is 1000)");
            return false;
        } else {
            add_unless_twice(r, map, key, value);
        }
    }
}

static bool is_within_limits(struct reader *r, yaml_mark_t mark)
{
    if (++r->nodes > YAML_NODES_MAX) {
        fail_at(r, mark, "too many values in one file (the limit is 50000)");
        return false;
    }
    if (r->depth > YAML_DEPTH_MAX) {
        fail_at(r, mark, "nested too deeply (the limit is 32 levels)");
        return false;
    }
    return true;
}

static struct yaml_node *node_of(struct reader *r, slice text, const yaml_event_t *event)
{
    if (!is_within_limits(r, event->start_mark))
        return NULL;
    if (has_anchor_or_tag(event)) {
        fail_at(r, event->start_mark,
                "anchors (&), aliases (*) and tags (!) are not supported: write the value out, in "
                "quotes if it begins with one of these");
        return NULL;
    }
    if (event->type == YAML_SCALAR_EVENT)
        return scalar_of(r, event);
    bool is_list = event->type == YAML_SEQUENCE_START_EVENT;
    struct yaml_node *node = node_new(r, is_list ? YAML_LIST : YAML_MAP, event->start_mark);
    r->depth++;
    bool is_complete = is_list ? read_list(r, text, node) : read_map(r, text, node);
    r->depth--;
    r->is_broken |= !is_complete;
    return is_complete || r->keeps_part ? node : NULL;
}

/* Takes the events of one type; true if the next event was of that type. */
static bool expect(struct reader *r, slice text, yaml_event_type_t type)
{
    yaml_event_t event;
    if (!next_event(r, text, &event))
        return false;
    bool is_expected = event.type == type;
    if (!is_expected && type == YAML_STREAM_END_EVENT)
        fail_at(r, event.start_mark, "only one document in a file: remove the \"---\"");
    yaml_event_delete(&event);
    return is_expected;
}

static struct yaml_node *read_document(struct reader *r, slice text)
{
    yaml_event_t event;
    if (!expect(r, text, YAML_STREAM_START_EVENT) || !next_event(r, text, &event))
        return NULL;
    bool is_empty = event.type == YAML_STREAM_END_EVENT;
    yaml_event_delete(&event);
    if (is_empty)
        return node_new(r, YAML_MAP, (yaml_mark_t){0});
    bool ended;
    struct yaml_node *root = read_node(r, text, &ended);
    bool is_whole = root && !r->is_broken && expect(r, text, YAML_DOCUMENT_END_EVENT) &&
                    expect(r, text, YAML_STREAM_END_EVENT);
    if (!root || (!is_whole && !r->keeps_part))
        return NULL;
    /* "---" and nothing else is one plain empty scalar */
    if (root->kind == YAML_SCALAR && root->is_plain && root->text.len == 0)
        root->kind = YAML_MAP;
    return root;
}

static struct yaml_node *read_all(slice text, struct reader *r)
{
    if (text.len > YAML_BYTES_MAX) {
        diag_add(r->diag, r->file, 0, 0, "the file is larger than 1MiB");
        return NULL;
    }
    if (!yaml_parser_initialize(&r->parser)) {
        diag_add(r->diag, r->file, 0, 0, "out of memory");
        return NULL;
    }
    yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r->parser, (const unsigned char *)(text.ptr ? text.ptr : ""),
                                 text.len);
    struct yaml_node *root = read_document(r, text);
    yaml_parser_delete(&r->parser);
    return root;
}

struct yaml_node *yaml_read(slice text, slice file, struct arena *arena, struct diag *diag)
{
    struct reader r = {.file = file, .arena = arena, .diag = diag};
    return read_all(text, &r);
}

struct yaml_node *yaml_read_part(slice text, slice file, struct arena *arena, struct diag *diag)
{
    struct reader r = {.file = file, .arena = arena, .diag = diag, .keeps_part = true};
    return read_all(text, &r);
}

struct yaml_entry *yaml_find(const struct yaml_node *map, slice key)
{
    if (map && map->kind == YAML_MAP)
        for (size_t i = 0; i < map->count; i++)
            if (slice_equal(map->entries[i].key->text, key))
                return &map->entries[i];
    return NULL;
}

struct yaml_node *yaml_get(const struct yaml_node *map, slice key)
{
    struct yaml_entry *entry = yaml_find(map, key);
    return entry ? entry->value : NULL;
}

struct yaml_node *yaml_scalar_new(struct arena *arena, slice text, slice file)
{
    struct yaml_node *node = arena_new(arena, struct yaml_node);
    node->text = text;
    node->file = file;
    return node;
}

struct yaml_node *yaml_empty_new(struct arena *arena, enum yaml_kind kind,
                                 const struct yaml_node *at)
{
    struct yaml_node *node = arena_new(arena, struct yaml_node);
    node->kind = kind;
    node->file = at->file;
    node->line = at->line;
    node->column = at->column;
    return node;
}

void yaml_set(struct arena *arena, struct yaml_node *map, struct yaml_node *key,
              struct yaml_node *value)
{
    struct yaml_entry *entry = yaml_find(map, key->text);
    if (entry)
        *entry = (struct yaml_entry){key, value};
    else
        entry_add(arena, map, key, value);
}
