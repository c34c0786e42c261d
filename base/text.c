/* Texts that grow in an arena. The bytes that a text has outgrown are given back with the arena. */
#include "base/text.h"

enum { SPARE_BYTES = 256 };

static void reserve(struct text *text, size_t more)
{
    if (more <= text->capacity - text->len)
        return;
    size_t capacity = text->capacity * 2 + more + SPARE_BYTES;
    char *bytes = arena_alloc(text->arena, capacity);
    if (text->len)
        memcpy(bytes, text->bytes, text->len);
    text->bytes = bytes;
    text->capacity = capacity;
}

void text_add(struct text *text, slice piece)
{
    if (piece.len == 0)
        return;
    reserve(text, piece.len);
    memcpy(text->bytes + text->len, piece.ptr, piece.len);
    text->len += piece.len;
}

slice text_view(const struct text *text)
{
    return text->len ? slice_of(text->bytes, text->len) : SLICE("");
}
