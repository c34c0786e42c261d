/*
 * Marks: keys that are known, for a while, not to be storable (semantics 3.1, "uncacheable"), and
 * URLs whose variants were marked stale a moment ago (semantics 6.1). A bounded table: when a set
 * is full, the mark that ends first gives way, which costs a render, never a wrong page. Any
 * thread.
 */
#pragma once

#include "base/clock.h"
#include "cache/key.h"

struct marks;

struct marks *marks_new(void);
void marks_free(struct marks *marks);
/* Until when; a later mark of the same key replaces the earlier one. */
void marks_set(struct marks *marks, const struct key *key, mono_time until);
bool marks_has(struct marks *marks, const struct key *key, mono_time now);
void marks_remove(struct marks *marks, const struct key *key);
