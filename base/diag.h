/*
 * Errors of a user's file: all of them, each with file, line, column, what is wrong and what to do.
 * Bounded at DIAG_MAX; beyond, they are counted.
 */
#pragma once

#include "base/arena.h"

enum { DIAG_MAX = 100 };

struct diag_error {
    slice file;
    unsigned line, column; /* from 1; 0: of the whole file */
    slice text;
};

struct diag {
    struct arena *arena;
    struct diag_error errors[DIAG_MAX];
    size_t count, dropped;
};

void diag_init(struct diag *diag, struct arena *arena);
void diag_add(struct diag *diag, slice file, unsigned line, unsigned column, const char *format,
              ...) __attribute__((format(printf, 5, 6)));
/* Puts the errors of each file in the order of its lines; files stay in the order of their first
 * error. */
void diag_sort(struct diag *diag);
/* Where it is: `varve.yaml:31:5`, or the file alone; empty: nowhere. In `arena`. */
slice diag_place(const struct diag_error *error, struct arena *arena);
/* All errors, one line each: `varve.yaml:31:5: unknown key "stael" (did you mean "stale"?)`. In
 * diag's arena. */
slice diag_text(const struct diag *diag);
/* `3 more warnings not shown`, where `noun` is what they are; empty: all are there. In `arena`. */
slice diag_more(const struct diag *diag, const char *noun, struct arena *arena);
/* The candidate nearest to `word` (edit distance at most a third of its length), or empty. */
slice diag_nearest(slice word, const slice *candidates, size_t count);
