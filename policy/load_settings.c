/* The rows of settings.def as tables, and the loop that reads or prints one mapping by them. */
#include "policy/loader.h"

#include <stdarg.h>
#include <stdio.h>

#define SECTION(id, owner) static const struct setting rows_##id[] = {
#define SETTING(owner, name, kind, member, text, ...)                                              \
    {.key = {name, sizeof(name) - 1},                                                              \
     .type = &setting_##kind,                                                                      \
     .offset = offsetof(struct owner, member),                                                     \
     .bytes = sizeof(((struct owner *)0)->member),                                                 \
     .default_yaml = (text)__VA_OPT__(, ) __VA_ARGS__},
#define LATER(name, ...) {.key = {name, sizeof(name) - 1} __VA_OPT__(, ) __VA_ARGS__},
#define END_SECTION(id)                                                                            \
    }                                                                                              \
    ;
#include "policy/settings.def"
#undef SECTION
#undef SETTING
#undef LATER
#undef END_SECTION

#define SECTION(id, owner)                                                                         \
    const struct section section_##id = {                                                          \
        .name = #id, .settings = rows_##id, .count = sizeof(rows_##id) / sizeof(rows_##id[0])};
#define SETTING(...)
#define LATER(...)
#define END_SECTION(id)
#include "policy/settings.def"
#undef SECTION
#undef SETTING
#undef LATER
#undef END_SECTION

enum { KEYS_MAX = 64, MESSAGE_MAX = 512 };

void fail(struct loader *l, const struct yaml_node *node, const char *format, ...)
{
    if (node->is_reported)
        return;
    char text[MESSAGE_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    diag_add(l->diag, node->file, node->line, node->column, "%s", text);
}

void fail_expected(struct loader *l, const struct setting *s, const struct yaml_node *node,
                   const char *expected)
{
    if (node->kind != YAML_SCALAR)
        fail(l, node, "\"%" SLICE_FMT "\": expected %s, got a %s", SLICE_ARG(s->key), expected,
             node->kind == YAML_LIST ? "list" : "mapping");
    else if (node->text.len == 0)
        fail(l, node, "\"%" SLICE_FMT "\": expected %s, got nothing", SLICE_ARG(s->key), expected);
    else
        fail(l, node, "\"%" SLICE_FMT "\": expected %s, got \"%" SLICE_FMT "\"", SLICE_ARG(s->key),
             expected, SLICE_ARG(slice_until(node->text, 100)));
}

static slice words_joined(struct loader *l, const slice *words, size_t count)
{
    slice parts[2 * KEYS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            parts[n++] = SLICE(", ");
        parts[n++] = words[i];
    }
    return arena_concat(&l->scratch, parts, n);
}

/* ` (did you mean "stale"?)`, or nothing */
static slice suggestion(struct loader *l, slice word, const slice *words, size_t count)
{
    slice nearest = diag_nearest(word, words, count);
    if (!nearest.ptr)
        return SLICE_NONE;
    return arena_printf(&l->scratch, " (did you mean \"%" SLICE_FMT "\"?)", SLICE_ARG(nearest));
}

void fail_word(struct loader *l, const struct setting *s, const struct yaml_node *node,
               const char *words)
{
    slice list[KEYS_MAX], rest = slice_of_string(words);
    size_t count = 0;
    while (count < KEYS_MAX && slice_next(&rest, '|', &list[count]))
        count++;
    slice hint = node->kind == YAML_SCALAR ? suggestion(l, node->text, list, count) : SLICE_NONE;
    slice joined = words_joined(l, list, count);
    slice expected = arena_printf(&l->scratch, "%s%" SLICE_FMT "%" SLICE_FMT,
                                  count > 1 ? "one of " : "", SLICE_ARG(joined), SLICE_ARG(hint));
    fail_expected(l, s, node, expected.ptr);
}

void fail_unknown_key(struct loader *l, const struct section *section, const struct yaml_node *key)
{
    slice keys[KEYS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < section->count && count < KEYS_MAX; i++)
        if (section->settings[i].type)
            keys[count++] = section->settings[i].key;
    slice hint = suggestion(l, key->text, keys, count);
    if (!hint.ptr)
        hint = arena_printf(&l->scratch, "; known here: %" SLICE_FMT,
                            SLICE_ARG(words_joined(l, keys, count)));
    fail(l, key, "unknown key \"%" SLICE_FMT "\"%" SLICE_FMT, SLICE_ARG(slice_until(key->text, 60)),
         SLICE_ARG(hint));
}

const struct setting *section_find(const struct section *section, slice key)
{
    for (size_t i = 0; i < section->count; i++)
        if (slice_equal(section->settings[i].key, key))
            return &section->settings[i];
    return NULL;
}

static bool says_default(const struct setting *s, const struct yaml_node *value)
{
    return s->default_yaml && scalar_is(value, s->default_yaml);
}

void section_check_keys(struct loader *l, const struct section *section,
                        const struct yaml_node *node)
{
    for (size_t i = 0; node && node->kind == YAML_MAP && i < node->count; i++) {
        const struct yaml_node *key = node->entries[i].key;
        const struct setting *s = section_find(section, key->text);
        if (!s)
            fail_unknown_key(l, section, key);
        else if (!s->type && !says_default(s, node->entries[i].value))
            fail(l, key, "\"%" SLICE_FMT "\" is not supported by this version: remove it",
                 SLICE_ARG(key->text));
    }
}

void section_parse(struct loader *l, const struct section *section, const struct yaml_node *node,
                   void *base)
{
    if (node->kind != YAML_MAP) {
        const char *got = node->kind == YAML_LIST ? "a list" : node->text.len ? "text" : "nothing";
        fail(l, node, "expected a mapping with keys such as \"%" SLICE_FMT "\", got %s",
             SLICE_ARG(section->settings[0].key), got);
        return;
    }
    section_check_keys(l, section, node);
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *s = &section->settings[i];
        const struct yaml_node *value = s->type ? yaml_get(node, s->key) : NULL;
        if (value && s->type->parse)
            s->type->parse(l, s, value, base);
    }
}

static void set_default(struct loader *l, const struct setting *s, void *base)
{
    slice text = slice_of_string(s->default_yaml), name = SLICE("(default)");
    const struct yaml_node *node = text.ptr[0] == '[' || text.ptr[0] == '"'
                                       ? yaml_read(text, name, &l->scratch, l->diag)
                                       : yaml_scalar_new(&l->scratch, text, name);
    s->type->parse(l, s, node, base);
}

/* Rows that fill members of the same struct; rows with a type of their own begin a new one. */
static bool is_same_struct(const struct setting *s)
{
    return s->section && (s->type == &setting_section || s->type == &setting_logged_in ||
                          s->type == &setting_access_log || s->type == &setting_spawn);
}

void section_defaults(struct loader *l, const struct section *section, void *base)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *s = &section->settings[i];
        if (s->type && s->default_yaml)
            set_default(l, s, base);
        if (is_same_struct(s))
            section_defaults(l, s->section, base);
        if (s->type == &setting_vary) /* beside its fields it has settings of its own */
            section_defaults(l, &section_vary, base);
    }
}

static void print_setting(struct writer *w, const struct setting *s, const void *base)
{
    if (s->type->print_block) {
        s->type->print_block(w, s, base);
        return;
    }
    if (!s->type->print)
        return;
    struct writer before = *w;
    write_key(w, s->key);
    write_format(w, " ");
    if (s->type->print(w, s, base)) {
        write_format(w, "\n");
    } else { /* nothing to say: take the key back */
        w->count = before.count;
        w->is_item = before.is_item;
    }
}

void section_print(struct writer *w, const struct section *section, const void *base)
{
    for (size_t i = 0; i < section->count; i++)
        if (section->settings[i].type)
            print_setting(w, &section->settings[i], base);
}

static void parse_section(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    section_parse(l, s->section, node, base);
}

static void print_section(struct writer *w, const struct setting *s, const void *base)
{
    struct writer before = *w;
    write_key(w, s->key);
    write_format(w, "\n");
    size_t empty = w->count;
    w->indent += 2;
    section_print(w, s->section, base);
    w->indent -= 2;
    if (w->count == empty) {
        w->count = before.count;
        w->is_item = before.is_item;
    }
}

const struct setting_type setting_section = {
    .name = "mapping", .parse = parse_section, .print_block = print_section};
/* read before everything else (load_include.c) */
const struct setting_type setting_include = {.name = "list of file patterns"};
