/*
 * What we use of picohttpparser. libh2o-evloop exports these functions; their header is not
 * installed with it.
 */
#pragma once

#include <stddef.h>
#include <sys/types.h>

struct phr_header {
    const char *name; /* NULL: a continuation line */
    size_t name_len;
    const char *value;
    size_t value_len;
};

struct phr_chunked_decoder { /* begins as zeros, but for consume_trailer */
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char _hex_count;
    char _state;
};

/* Bytes taken, -1: malformed, -2: incomplete. */
int phr_parse_headers(const char *buf, size_t len, struct phr_header *headers, size_t *num_headers,
                      size_t last_len);
int phr_parse_response(const char *buf, size_t len, int *minor_version, int *status,
                       const char **msg, size_t *msg_len, struct phr_header *headers,
                       size_t *num_headers, size_t last_len);
/* Decodes in place, *bufsz becomes what is left. Bytes behind the body, -1: malformed, -2:
 * incomplete. */
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buf, size_t *bufsz);
