/*
 * The chunked transfer coding (RFC 9112 §7.1), decoded without copying and more strictly than
 * phr_decode_chunked() does: CRLF only, bounded sizes, extensions and trailers. Pure.
 *
 *   chunked-body = *chunk last-chunk trailer-section CRLF
 *   chunk        = 1*16HEXDIG [BWS ext] CRLF data CRLF
 */
#pragma once

#include "base/slice.h"

/* No less than what the body of a request may have (edge/http/chunk_check.c): what one side lets
 * pass the other one can read. */
enum { CHUNK_LINE_MAX_BYTES = 8192, CHUNK_TRAILERS_MAX_BYTES = 16384 };

enum chunked_event {
    CHUNKED_NEED_MORE, /* all of the input was taken */
    CHUNKED_DATA,
    CHUNKED_END,
    CHUNKED_BAD
};

struct chunked {
    int state;
    unsigned digits;
    uint64_t left;
    size_t line_bytes, trailer_bytes;
};

void chunked_init(struct chunked *chunked);
/* Takes from the front of *input up to the next event; `data` is a view of the input. */
enum chunked_event chunked_next(struct chunked *chunked, slice *input, slice *data);
