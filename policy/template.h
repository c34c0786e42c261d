/* Texts of the policy with {placeholders}: `target:` and `set_headers:`. Pure. */
#pragma once

#include "policy/rules.h"

/* The value of a `set_headers` entry for this request: {class}, {host}, {build}. */
slice template_header(const struct set_header *header, const struct request *request,
                      const struct decision *decision);

/*
 * What to ask the worker for: the client's own path with this query, or the origin's `target:` with
 * {url} (the full public URL, percent-encoded), {path} (as received; percent-encoded behind a '?')
 * and {host}. The query follows {path}, where the template has no '?' and no {url} of its own.
 */
slice template_target(const struct request *request, const struct decision *decision, slice query,
                      bool has_query);
