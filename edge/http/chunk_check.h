/*
 * The strict reading of a chunked request body (RFC 9112 §7.1), byte by byte over any number of
 * pieces. It only checks and counts: decoding is left to libh2o, which is laxer, so that what
 * passes here has one meaning. Pure.
 */
#pragma once

#include "base/slice.h"

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LF,
    CHUNK_END
};

/* Zeroed for each body. */
struct chunk_scan {
    enum chunk_state state;
    unsigned digits;     /* of the present chunk's size */
    uint64_t left;       /* of the present chunk */
    uint64_t data_bytes; /* of all chunks announced so far */
    size_t side_bytes;   /* extensions and trailer: bounded together */
    size_t trailer_line_bytes;
    bool is_in_name; /* of a trailer field: its colon has not come */
};

enum chunk_verdict { CHUNK_MORE, CHUNK_DONE, CHUNK_BAD };

/* Takes bytes up to the end of the body; *used says how many. */
enum chunk_verdict chunk_scan(struct chunk_scan *scan, slice bytes, size_t *used);
