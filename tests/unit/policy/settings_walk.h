/* Visits every row of settings.def with its name in the documentation, and makes the beginning of
 * its line there. */
#pragma once

#include "policy/loader.h"

typedef void setting_visitor(const struct setting *s, slice path, void *owner);

static inline void settings_walk(struct arena *arena, const struct section *section, slice prefix,
                                 setting_visitor *visit, void *owner)
{
    for (size_t i = 0; i < section->count; i++) {
        const struct setting *s = &section->settings[i];
        slice parts[] = {prefix, prefix.len ? SLICE(".") : SLICE_NONE, s->key};
        slice path = arena_concat(arena, parts, 3);
        visit(s, path, owner);
        if (s->type == &setting_vary)
            settings_walk(arena, &section_vary, path, visit, owner);
        if (s->section)
            settings_walk(arena, s->section, s->path ? slice_of_string(s->path) : path, visit,
                          owner);
    }
}

/* "| `store.size` | size | 8GiB, at most … |" */
static inline slice settings_doc_line(struct arena *arena, const struct setting *s, slice path)
{
    slice words = arena_copy(arena, slice_of_string(s->words));
    for (size_t i = 0; i < words.len; i++)
        if (words.ptr[i] == '|')
            ((char *)(uintptr_t)words.ptr)[i] = '/';
    bool is_word = s->type == &setting_word;
    const char *or_word = s->words && !is_word ? " or " : "";
    slice value = s->default_yaml ? arena_printf(arena, "`%s`", s->default_yaml)
                                  : slice_of_string(s->default_words ? s->default_words : "none");
    return arena_printf(arena, "| `%" SLICE_FMT "` | %s%s%" SLICE_FMT " | %" SLICE_FMT " |",
                        SLICE_ARG(path), is_word ? "" : s->type->name, or_word, SLICE_ARG(words),
                        SLICE_ARG(value));
}
