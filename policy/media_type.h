/* Media types (RFC 9110 §8.3.1). Pure, any thread. */
#pragma once

#include "policy/config.h"

/* "text/html" of "Text/HTML; charset=utf-8": without parameters, case as it came. */
slice media_type_of(slice content_type);
/* Is it one of `types` (lower case, a subtype may be a wildcard)? An empty one is in no list. */
bool media_type_is_in(slice content_type, struct slices types);
/* An answer that has no end (HTML, server-sent events). */
bool media_type_is_event_stream(slice content_type);
/* May a body of this type answer a navigation that did not fill it (semantics 4.5)? */
bool media_type_is_page(slice content_type);
