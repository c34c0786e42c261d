/* The head of an object as bytes: what is written to LMDB and kept in RAM. Made by object.c alone;
 * reading one is object_decode(). Any thread. */
#pragma once

#include "cache/object.h"

/* A new blob. `union_hash` 0: unknown. */
struct blob *object_head_encode(const struct object_parts *parts, uint64_t union_hash);
/* Its facts without the rest. False: not one of ours. */
bool object_head_facts(slice head, struct facts *facts);
