/*
 * What a worker says when it is asked which build it is of (`build.probe`). Pure.
 *
 *   answer = id / JSON string / JSON object with a member "version", a string
 *   id     = 1*256( SP / VCHAR )    ; what is around it is trimmed
 *
 * The object is what Khan Academy's Render Gateway gives. An id that begins with "<" is a page that
 * somebody gives for any path, and none.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum { BUILD_ANSWER_MAX_BYTES = 1024, BUILD_MAX_BYTES = 256 };

/* The id, in the arena; empty: the answer names none. */
slice build_answer_id(struct arena *arena, slice body);
