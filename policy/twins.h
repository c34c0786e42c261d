/*
 * Data twins (semantics 6.4): URLs at which a framework gives the data of a page, for browsers that
 * come from another page of it: `/a.data`, `/a/__data.json`, `/_next/data/BUILD/a.json`,
 * `/a?_rsc=…`. A purge cannot name them, because they hold builds and parameters that nobody knows.
 * So a twin is stored with a tag that names its page, and a purge of a page purges that tag.
 *
 *     pattern = path ["?" parameter]     the URL has this parameter, among others
 *     path    = before ["{path}" after]  {path}: that of the page; without it the page is "/"
 *     before  = may hold `*`, which is one segment
 *
 * A twin belongs to a path: queries play no part, nor a slash at the end. Pure.
 */
#pragma once

#include "policy/rules.h"

bool twins_is_pattern(slice text);
/* The tag of the page that this URL is a twin of, by the first pattern of `purge: {twins}` that
 * fits; empty: it is none. In `arena`. */
slice twins_tag_of(const struct policy *policy, const struct request *request,
                   const struct decision *decision, struct arena *arena);
/* The tag of all twins of a page: `twin shop.example/a`. Nothing that an answer names can be that,
 * since tags of fields are split at spaces. In `arena`. */
slice twins_tag(slice host, slice path, struct arena *arena);
