/*
 * A text that is put together piece by piece. It grows in its arena by doubling, so what it costs
 * is a small multiple of its length, however many pieces there are: strangers choose their number.
 */
#pragma once

#include "base/arena.h"

struct text {
    struct arena *arena;
    char *bytes;
    size_t len, capacity;
};

void text_add(struct text *text, slice piece);
/* As it stands now: a view until the next piece is added. */
slice text_view(const struct text *text);
