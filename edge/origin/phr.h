/*
 * What we use of picohttpparser. libh2o-evloop exports these functions; their header is not
 * installed with it.
 */
#pragma once

#include <stddef.h>

struct phr_header {
    const char *name; /* NULL: a continuation line */
    size_t name_len;
    const char *value;
    size_t value_len;
};

/* Bytes taken, -1: malformed, -2: incomplete. */
int phr_parse_headers(const char *buf, size_t len, struct phr_header *headers, size_t *num_headers,
                      size_t last_len);
