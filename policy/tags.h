/* Inside of the response side: the tags by which a stored response can be purged. */
#pragma once

#include "policy/response.h"

/*
 * Tags of the response's `purge: {tag_headers}` fields (separated by spaces or commas) and of the
 * route, each once. False if there are more than TAGS_MAX: a page that some of its tags do not
 * purge must not be stored. Views of fields and decision; the array is in `arena`.
 */
bool tags_of_response(const struct policy *policy, const struct decision *decision,
                      const struct fields *fields, struct arena *arena, struct slices *tags);
