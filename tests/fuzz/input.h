/* Takes an input of libFuzzer apart: bytes that choose, lines, and what is left. */
#pragma once

#include "base/must.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline slice input_of(const uint8_t *data, size_t size)
{
    return slice_of((const char *)data, size);
}

/* The first byte, taken off; 0 when nothing is left. */
static inline unsigned take_byte(slice *input)
{
    unsigned byte = input->len ? (unsigned char)input->ptr[0] : 0;
    *input = slice_from(*input, 1);
    return byte;
}

/* The first `size` bytes, taken off, into `into`; zeros where they end. */
static inline void take_bytes(slice *input, void *into, size_t size)
{
    slice taken = slice_until(*input, size);
    memset(into, 0, size);
    if (taken.len)
        memcpy(into, taken.ptr, taken.len);
    *input = slice_from(*input, size);
}

/* What stands before the next newline, taken off with it; empty when nothing is left. */
static inline slice take_line(slice *input)
{
    size_t end = slice_find(*input, '\n', 0);
    slice line = slice_until(*input, end);
    *input = slice_from(*input, end + 1);
    return line;
}

/* Is `part` a view of bytes of `whole`? An empty one may point anywhere. */
static inline bool lies_within(slice part, slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}
