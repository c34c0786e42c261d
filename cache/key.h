/* Cache keys: XXH3-128 of a length-prefixed list of byte strings (semantics 1.1). Pure, any thread.
 */
#pragma once

#include "base/slice.h"

struct key {
    uint8_t bytes[16];
};

struct key key_of(slice text);
bool key_equal(const struct key *a, const struct key *b);
/* XXH3-64, for tags and checksums. */
uint64_t hash_of(slice text);
uint64_t hash_more(uint64_t seed, slice text);
