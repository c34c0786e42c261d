/*
 * Marks: keys that are known, for a while, not to be storable (semantics 3.1, "uncacheable"), and
 * URLs whose variants were marked stale a moment ago (semantics 6.1). A bounded table: when a set
 * is full, the mark that ends first gives way, which costs a render, never a wrong page. Any
 * thread.
 */
#pragma once

#include "base/clock.h"
#include "cache/key.h"
#include "policy/reason.h"

struct marks;

struct marks *marks_new(void);
void marks_free(struct marks *marks);
/* Until when, and why (for those who ask); a later mark of the same key replaces the earlier one.
 */
void marks_set(struct marks *marks, const struct key *key, mono_time until, enum reason why);
bool marks_has(struct marks *marks, const struct key *key, mono_time now);
/* Until when the key is marked; `now` where it is not. */
mono_time marks_end(struct marks *marks, const struct key *key, mono_time now);
/* True, and *why is set, while the key is marked. */
bool marks_find(struct marks *marks, const struct key *key, mono_time now, enum reason *why);
void marks_remove(struct marks *marks, const struct key *key);
