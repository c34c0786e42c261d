/*
 * The only file that includes xxhash.h. XXH3 is fast and well spread but not a cryptographic hash:
 * a stranger may make two texts collide, so whoever looks something up by key also compares the
 * text (semantics 1.1). Digests are stored in canonical (big-endian) order, so that a store file
 * can be read on any machine.
 */
#include "cache/key.h"

#include <xxhash.h>

struct key key_of(slice text)
{
    XXH128_canonical_t canonical;
    struct key key;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits(text.ptr ? text.ptr : "", text.len));
    memcpy(key.bytes, canonical.digest, sizeof(key.bytes));
    return key;
}

bool key_equal(const struct key *a, const struct key *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

uint64_t hash_of(slice text)
{
    return XXH3_64bits(text.ptr ? text.ptr : "", text.len);
}

uint64_t hash_more(uint64_t seed, slice text)
{
    return XXH3_64bits_withSeed(text.ptr ? text.ptr : "", text.len, seed);
}
