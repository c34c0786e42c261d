#include "base/arena.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCK_BYTES = 4096, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *next;
    size_t used, size;
    _Alignas(ALIGNMENT) char bytes[];
};

static _Noreturn void out_of_memory(void)
{
    fputs("varve: out of memory\n", stderr);
    abort();
}

void *mem_alloc(size_t bytes)
{
    void *memory = calloc(1, bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

void *mem_grow(void *memory, size_t bytes)
{
    memory = realloc(memory, bytes ? bytes : 1);
    if (!memory)
        out_of_memory();
    return memory;
}

/*
 * Blocks of the usual size go round within a thread: a request takes one or two, and this size is
 * past the small bins of malloc. Not under AddressSanitizer, which could then no longer see who
 * uses a block after its arena has ended.
 */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SPARE_MAX = 0 };
#else
enum { SPARE_MAX = 64 };
#endif

static _Thread_local struct arena_block *spare_blocks;
static _Thread_local int spare_count;

static struct arena_block *take_spare(void)
{
    struct arena_block *block = spare_blocks;
    spare_blocks = block->next;
    spare_count--;
    return block;
}

static void give_back(struct arena_block *block)
{
    if (block->size != BLOCK_BYTES || spare_count >= SPARE_MAX) {
        free(block);
        return;
    }
    block->next = spare_blocks;
    spare_blocks = block;
    spare_count++;
}

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    while (arena->blocks) {
        struct arena_block *next = arena->blocks->next;
        give_back(arena->blocks);
        arena->blocks = next;
    }
    arena->used_bytes = 0;
}

static struct arena_block *block_with_room(struct arena *arena, size_t bytes)
{
    struct arena_block *block = arena->blocks;
    if (block && block->size - block->used >= bytes)
        return block;
    size_t size = bytes > BLOCK_BYTES ? bytes : BLOCK_BYTES;
    block = size == BLOCK_BYTES && spare_blocks ? take_spare() : malloc(sizeof(*block) + size);
    if (!block)
        out_of_memory();
    block->used = 0;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t bytes)
{
    MUST(bytes <= SIZE_MAX - ALIGNMENT);
    size_t rounded = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct arena_block *block = block_with_room(arena, rounded);
    void *memory = block->bytes + block->used;
    block->used += rounded;
    arena->used_bytes += rounded;
    return memset(memory, 0, rounded);
}

slice arena_concat(struct arena *arena, const slice *parts, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++)
        length += parts[i].len;
    char *text = arena_alloc(arena, length + 1), *end = text;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len)
            memcpy(end, parts[i].ptr, parts[i].len);
        end += parts[i].len;
    }
    return slice_of(text, length);
}

slice arena_copy(struct arena *arena, slice s)
{
    return arena_concat(arena, &s, 1);
}

slice arena_copy_lower(struct arena *arena, slice s)
{
    char *text = arena_alloc(arena, s.len + 1);
    for (size_t i = 0; i < s.len; i++)
        text[i] = ascii_lower(s.ptr[i]);
    return slice_of(text, s.len);
}

slice arena_printf(struct arena *arena, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    MUST(length >= 0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    va_start(arguments, format);
    vsnprintf(text, (size_t)length + 1, format, arguments);
    va_end(arguments);
    return slice_of(text, (size_t)length);
}

slice arena_decimal(struct arena *arena, int64_t number)
{
    enum { DIGITS = 20 }; /* of INT64_MIN, with its sign */
    char *end = (char *)arena_alloc(arena, DIGITS + 1) + DIGITS, *start = end;
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do
        *--start = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (number < 0)
        *--start = '-';
    return slice_of(start, (size_t)(end - start));
}
