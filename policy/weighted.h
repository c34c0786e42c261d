/* Lists of "token;q=0.8" (RFC 9110 §12.4.2): Accept, Accept-Language, Accept-Encoding. Pure. */
#pragma once

#include "base/slice.h"

enum { WEIGHT_FULL = 1000 };

/*
 * Takes the next member out of *rest, as slice_next_member: its token without parameters, trimmed,
 * and its weight in thousandths (1000 without one, 0 for one that is not a qvalue).
 */
bool weighted_next(slice *rest, slice *token, unsigned *weight);

/* Is `token` (compared without case, parameters apart) a member of weight > 0? */
bool weighted_accepts(slice list, slice token);
