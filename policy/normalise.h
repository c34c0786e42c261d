/*
 * The normalisers of `vary:` (semantics 2.4): what a field that a renderer may vary by is turned
 * into before it is sent. What is sent is what is keyed. Pure; results live in `arena` or are views
 * of the request or the policy.
 */
#pragma once

#include "base/fields.h"
#include "policy/config.h"

enum { VARY_VALUE_MAX = 256 }; /* bytes of a keyed value (semantics 2.2); longer ones: pass */

/* The entry for a client's field; NULL without one. Lower case. Cookie rules are no such entry. */
const struct vary_config *vary_find(const struct policy *policy, slice field);
/* The same, also by the name that the class is sent under (`as:`). */
const struct vary_config *vary_find_either(const struct policy *policy, slice name);
bool vary_is_always(const struct vary_config *vary, bool is_sealed);
/* The field that the renderer gets: `as`, or the client's own. */
slice vary_sent_name(const struct vary_config *vary);
/* What the renderer gets for this request. False: nothing (no class, or the client sent none). */
bool vary_value(const struct vary_config *vary, const struct fields *fields, struct arena *arena,
                slice *value);

/*
 * RFC 4647 §3.4 lookup: the choice for an Accept-Language, ranges in order of weight, each made
 * shorter until it fits; "*" and no fit give `fallback`. At most LANGUAGE_RANGES_MAX ranges count.
 */
enum { LANGUAGE_RANGES_MAX = 32 };
slice language_choose(slice accept_language, const struct slices *choices, slice fallback);

/*
 * One line in one spelling: white space about commas outside quotes becomes ", ". The value itself
 * in fields that are no lists for sure (User-Agent, Referer …). For comparing: a field that we do
 * not know may be no list either, and "52.5,13.4" in it is not "52.5, 13.4".
 */
slice vary_canonical(slice name, slice value, struct arena *arena);
/* For sending: the same for what is a list by definition (Accept, Accept-*, Cache-Control), else
 * the value itself (semantics 2.2). */
slice vary_as_sent(slice name, slice value, struct arena *arena);
