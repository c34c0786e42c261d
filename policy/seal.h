/* Which request fields a fill, or a pass, never carries (semantics 2.1, 2.2, 2.8). Pure; names are
 * lower case. */
#pragma once

#include "base/fields.h"

/* seal.def or a name with '_'. */
bool seal_holds_back(slice name);
/* A row of seal.def marked INTERNAL. */
bool seal_is_internal(slice name);
/* Hop-by-hop (RFC 9110 §7.6.1), with what `fields`' Connection names, and framing. */
bool seal_is_hop_by_hop(const struct fields *fields, const struct field *field);
/* A condition of the client's own, or Range: answered by us, never by a fill. */
bool seal_is_conditional(enum field_id id);
