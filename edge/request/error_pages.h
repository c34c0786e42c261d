/* `error_page: {503: busy.html}`: files read once at start, given in place of varve's own error
 * pages. */
#pragma once

#include "cache/object.h"

struct error_pages;

/* NULL with a line in `error` (>= 256 bytes) when a file cannot be read. */
struct error_pages *error_pages_new(const struct policy *policy, char *error);
void error_pages_free(struct error_pages *pages);
/* A new reference, or NULL if none is configured for the status. Any thread. */
struct blob *error_page(const struct error_pages *pages, unsigned status);
