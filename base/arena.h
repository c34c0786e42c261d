/*
 * Memory that lives as long as one request, one fetch or one configuration: allocated piece by
 * piece, freed at once. Not thread-safe: one owner at a time. What goes in is bounded by whoever
 * reads the input (header limits, file size). Out of memory ends the process, as it does in libh2o.
 */
#pragma once

#include "base/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks;
    size_t used_bytes; /* handed out in total */
};

void arena_init(struct arena *arena);
void arena_fini(struct arena *arena);
void *arena_alloc(struct arena *arena, size_t bytes); /* zeroed, aligned for any type */
slice arena_copy(struct arena *arena, slice s);       /* the copy is followed by a NUL byte */
slice arena_copy_lower(struct arena *arena, slice s); /* ASCII lower case */
slice arena_printf(struct arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
slice arena_concat(struct arena *arena, const slice *parts, size_t count);
slice arena_decimal(struct arena *arena, int64_t number); /* without printf: for the hot path */

#define arena_new(arena, type)          ((type *)arena_alloc(arena, sizeof(type)))
#define arena_array(arena, type, count) ((type *)arena_alloc(arena, sizeof(type) * (count)))

/* malloc and realloc that end the process when memory is out. Freed with free(). */
void *mem_alloc(size_t bytes); /* zeroed */
void *mem_grow(void *memory, size_t bytes);
