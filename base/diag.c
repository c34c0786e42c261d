/*
 * Collects what is wrong with a user's file, so that one run shows everything. Text that comes from
 * the file is shown with control bytes escaped, since it ends up on a terminal.
 */
#include "base/diag.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 600, WORD_MAX = 64 };

void diag_init(struct diag *diag, struct arena *arena)
{
    diag->arena = arena;
    diag->count = diag->dropped = 0;
}

/* Control bytes, and what is no UTF-8, as \xNN. */
static slice printable(struct arena *arena, slice text)
{
    char *safe = arena_alloc(arena, 4 * text.len + 1);
    size_t length = 0;
    for (size_t written; (written = utf8_show(safe + length, &text)) > 0;)
        length += written;
    return slice_of(safe, length);
}

void diag_add(struct diag *diag, slice file, unsigned line, unsigned column, const char *format,
              ...)
{
    if (diag->count == DIAG_MAX) {
        diag->dropped++;
        return;
    }
    char text[TEXT_MAX + 4]; /* so that a letter that is cut is seen to be one */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    slice shown = utf8_until(slice_of_string(text), TEXT_MAX);
    diag->errors[diag->count++] = (struct diag_error){.file = arena_copy(diag->arena, file),
                                                      .line = line,
                                                      .column = column,
                                                      .text = printable(diag->arena, shown)};
}

static size_t first_of_file(const struct diag *diag, slice file)
{
    size_t i = 0;
    while (!slice_equal(diag->errors[i].file, file))
        i++;
    return i;
}

static bool is_before(const struct diag_error *a, const struct diag_error *b)
{
    return a->line != b->line ? a->line < b->line : a->column < b->column;
}

/* Insertion sort: stable, and there are at most DIAG_MAX. */
void diag_sort(struct diag *diag)
{
    size_t files[DIAG_MAX];
    for (size_t i = 0; i < diag->count; i++)
        files[i] = first_of_file(diag, diag->errors[i].file);
    for (size_t i = 1; i < diag->count; i++) {
        struct diag_error error = diag->errors[i];
        size_t file = files[i], at = i;
        for (; at > 0; at--) {
            if (files[at - 1] < file ||
                (files[at - 1] == file && !is_before(&error, &diag->errors[at - 1])))
                break;
            diag->errors[at] = diag->errors[at - 1];
            files[at] = files[at - 1];
        }
        diag->errors[at] = error;
        files[at] = file;
    }
}

slice diag_place(const struct diag_error *error, struct arena *arena)
{
    if (error->line == 0)
        return arena_copy(arena, error->file);
    return arena_printf(arena, "%" SLICE_FMT ":%u:%u", SLICE_ARG(error->file), error->line,
                        error->column);
}

static slice error_line(struct arena *arena, const struct diag_error *error)
{
    slice place = diag_place(error, arena);
    return arena_printf(arena, "%" SLICE_FMT "%s%" SLICE_FMT "\n", SLICE_ARG(place),
                        place.len ? ": " : "", SLICE_ARG(error->text));
}

slice diag_more(const struct diag *diag, const char *noun, struct arena *arena)
{
    if (diag->dropped == 0)
        return SLICE_NONE;
    return arena_printf(arena, "%zu more %s%s not shown", diag->dropped, noun,
                        diag->dropped == 1 ? "" : "s");
}

slice diag_text(const struct diag *diag)
{
    slice lines[DIAG_MAX + 2];
    size_t count = 0;
    for (; count < diag->count; count++)
        lines[count] = error_line(diag->arena, &diag->errors[count]);
    slice more = diag_more(diag, "error", diag->arena);
    lines[count++] = more;
    lines[count++] = more.len ? SLICE("\n") : SLICE_NONE;
    return arena_concat(diag->arena, lines, count);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/*
 * Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each 1,
 * because "stael" is one slip of the fingers, not two.
 */
static size_t edit_distance(slice a, slice b)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *above = rows[1], *row = rows[2];
    for (size_t j = 0; j <= b.len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t change = a.ptr[i - 1] != b.ptr[j - 1];
            row[j] = least(least(above[j], row[j - 1]) + 1, above[j - 1] + change);
            if (i > 1 && j > 1 && a.ptr[i - 1] == b.ptr[j - 2] && a.ptr[i - 2] == b.ptr[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = above;
        above = row;
        row = free_row;
    }
    return above[b.len];
}

slice diag_nearest(slice word, const slice *candidates, size_t count)
{
    slice nearest = SLICE_NONE;
    size_t limit = word.len / 3;
    if (word.len > WORD_MAX)
        return nearest;
    for (size_t i = 0; i < count; i++) {
        if (candidates[i].len > WORD_MAX)
            continue;
        size_t distance = edit_distance(word, candidates[i]);
        if (distance > limit || (nearest.ptr && distance == limit))
            continue;
        nearest = candidates[i];
        limit = distance;
    }
    return nearest;
}
