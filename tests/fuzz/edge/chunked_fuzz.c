/*
 * The chunked coding in both directions. What the check of request bodies lets pass means the same
 * to it, to our decoder of responses and to libh2o, which decodes request bodies: the same data,
 * the same end. And our decoder reads pieces as it reads the whole.
 *
 *   input = piece size (1 byte) body
 */
#include "edge/http/chunk_check.h"
#include "edge/origin/chunked.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <sys/types.h>

struct phr_chunked_decoder {
    size_t bytes_left_in_chunk;
    char consume_trailer;
    char _hex_count;
    char _state;
};
ssize_t phr_decode_chunked(struct phr_chunked_decoder *decoder, char *buffer, size_t *size);

enum { INPUT_MAX = 1 << 16 };

struct decoded {
    enum chunked_event last;
    size_t used, bytes;
    char data[INPUT_MAX];
};

/* Up to the end of the body, of the input, or a mistake. */
static void decode(slice input, size_t piece_bytes, struct decoded *decoded)
{
    struct chunked chunked;
    chunked_init(&chunked);
    decoded->last = CHUNKED_NEED_MORE;
    decoded->used = decoded->bytes = 0;
    while (input.len && decoded->last <= CHUNKED_DATA) {
        slice piece = slice_until(input, piece_bytes), rest = piece, data;
        do {
            data = SLICE_NONE;
            decoded->last = chunked_next(&chunked, &rest, &data);
            MUST(lies_within(data, piece) && lies_within(rest, piece));
            MUST((decoded->last == CHUNKED_DATA) == (data.len > 0));
            if (data.len)
                memcpy(decoded->data + decoded->bytes, data.ptr, data.len);
            decoded->bytes += data.len;
        } while (decoded->last == CHUNKED_DATA && rest.len);
        MUST(decoded->last != CHUNKED_NEED_MORE || rest.len == 0);
        decoded->used += piece.len - rest.len;
        input = slice_from(input, piece.len - rest.len);
    }
}

static void check_pieces(const struct decoded *whole, slice input, size_t piece_bytes)
{
    static struct decoded pieces;
    decode(input, piece_bytes, &pieces);
    bool is_open = whole->last <= CHUNKED_DATA;
    MUST(is_open ? pieces.last <= CHUNKED_DATA : pieces.last == whole->last);
    MUST(whole->last == CHUNKED_BAD || pieces.used == whole->used);
    MUST(pieces.bytes == whole->bytes && memcmp(pieces.data, whole->data, whole->bytes) == 0);
}

static void check_libh2o(const struct decoded *ours, slice body)
{
    struct phr_chunked_decoder decoder = {.consume_trailer = 1};
    size_t size = body.len;
    char *copy = malloc(body.len); /* it decodes in place */
    MUST(copy);
    memcpy(copy, body.ptr, body.len);
    MUST(phr_decode_chunked(&decoder, copy, &size) == 0); /* an end, and nothing behind it */
    MUST(size == ours->bytes && memcmp(copy, ours->data, size) == 0);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct decoded whole;
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    size_t piece_bytes = take_byte(&input) % 32 + 1, used = 0;
    struct chunk_scan scan = {0};
    decode(input, SIZE_MAX, &whole);
    check_pieces(&whole, input, piece_bytes);
    enum chunk_verdict verdict = chunk_scan(&scan, input, &used);
    MUST(verdict != CHUNK_DONE || (whole.last == CHUNKED_END && whole.used == used));
    MUST(verdict != CHUNK_DONE || scan.data_bytes == whole.bytes);
    MUST(verdict != CHUNK_MORE || input.len == 0 || used == input.len);
    if (verdict == CHUNK_DONE)
        check_libh2o(&whole, slice_until(input, used));
    return 0;
}
