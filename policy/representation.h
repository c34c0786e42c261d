/* The request fields that are in every key (semantics 1.4, representation.def). Pure. */
#pragma once

#include "policy/message.h"

enum { REPRESENTATION_VALUE_MAX = 4096 }; /* bytes of one value; longer ones cannot be keyed */

/* Lower-case name. */
bool representation_is_field(slice name);
/* What a fill sends of this field: false where it sends none. */
bool representation_value(const struct fields *fields, slice name, struct arena *arena,
                          slice *value);
/* Does the request carry one of them besides Accept? Such a request is no navigation
 * (semantics 4.5). */
bool representation_is_asked(const struct request *request);
