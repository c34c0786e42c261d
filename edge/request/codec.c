/*
 * Bodies to and from gzip and br. Decoding is where strangers' bytes make memory: the output grows
 * to one byte beyond the limit, which tells a body that just fits from one that does not.
 */
#include "edge/request/codec.h"

#include "base/arena.h"

#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    GZIP_LEVEL = 6,
    BROTLI_QUALITY = 5,    /* about gzip 9 in size, at the speed of gzip 6 */
    GZIP_WINDOW = 15 + 16, /* zlib: +16 writes and expects a gzip header */
    FIRST_DECODED_BYTES = 64 * 1024,
};

/* `blob` cut to what was really written, in a blob of its own size. */
static struct blob *shrunk(struct blob *blob, size_t length)
{
    struct blob *exact = blob_new(length);
    memcpy(exact->bytes, blob->bytes, length);
    blob_unref(&blob);
    return exact;
}

/* --- encoding --- */

static size_t encode_gzip(const struct blob *plain, struct blob *into)
{
    z_stream stream = {0};
    if (deflateInit2(&stream, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        return 0;
    stream.next_in = (Bytef *)plain->bytes;
    stream.avail_in = (uInt)plain->len;
    stream.next_out = (Bytef *)into->bytes;
    stream.avail_out = (uInt)into->len;
    int result = deflate(&stream, Z_FINISH);
    size_t length = result == Z_STREAM_END ? stream.total_out : 0;
    deflateEnd(&stream);
    return length;
}

static size_t encode_br(const struct blob *plain, struct blob *into)
{
    size_t length = into->len;
    BROTLI_BOOL is_done =
        BrotliEncoderCompress(BROTLI_QUALITY, BROTLI_DEFAULT_WINDOW, BROTLI_MODE_TEXT, plain->len,
                              (const uint8_t *)plain->bytes, &length, (uint8_t *)into->bytes);
    return is_done ? length : 0;
}

struct blob *body_encode(enum coding coding, const struct blob *plain)
{
    if (plain->len < 2 || plain->len > UINT32_MAX)
        return NULL;
    struct blob *into = blob_new(plain->len - 1); /* what does not fit is not smaller */
    size_t length = coding == CODING_BR ? encode_br(plain, into) : encode_gzip(plain, into);
    if (length > 0)
        return shrunk(into, length);
    blob_unref(&into);
    return NULL;
}

/* --- decoding: into a buffer that doubles up to the limit --- */

struct output {
    char *bytes;
    size_t used, size, max;
};

/* False at the limit. */
static bool make_room(struct output *output)
{
    if (output->used < output->size)
        return true;
    if (output->size == output->max)
        return false;
    size_t size = output->size ? output->size * 2 : FIRST_DECODED_BYTES;
    output->size = size < output->max ? size : output->max;
    output->bytes = mem_grow(output->bytes, output->size);
    return true;
}

static bool decode_gzip(const struct blob *coded, struct output *output)
{
    z_stream stream = {.next_in = (Bytef *)coded->bytes, .avail_in = (uInt)coded->len};
    if (inflateInit2(&stream, GZIP_WINDOW) != Z_OK)
        return false;
    int result = Z_OK;
    while (result == Z_OK && make_room(output)) {
        stream.next_out = (Bytef *)output->bytes + output->used;
        stream.avail_out = (uInt)(output->size - output->used);
        result = inflate(&stream, Z_NO_FLUSH);
        output->used = output->size - stream.avail_out;
        if (result == Z_BUF_ERROR && stream.avail_out == 0)
            result = Z_OK;
        if (result == Z_STREAM_END && stream.avail_in > 0) /* another member: RFC 1952 §2.2 */
            result = inflateReset(&stream);
    }
    inflateEnd(&stream);
    return result == Z_STREAM_END && stream.avail_in == 0;
}

static bool decode_br(const struct blob *coded, struct output *output)
{
    BrotliDecoderState *state = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    if (!state)
        return false;
    const uint8_t *next_in = (const uint8_t *)coded->bytes;
    size_t left_in = coded->len;
    BrotliDecoderResult result = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    while (result == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT && make_room(output)) {
        uint8_t *next_out = (uint8_t *)output->bytes + output->used;
        size_t left_out = output->size - output->used;
        result =
            BrotliDecoderDecompressStream(state, &left_in, &next_in, &left_out, &next_out, NULL);
        output->used = output->size - left_out;
    }
    BrotliDecoderDestroyInstance(state);
    return result == BROTLI_DECODER_RESULT_SUCCESS && left_in == 0;
}

struct blob *body_decode(enum coding coding, const struct blob *coded, size_t max_bytes)
{
    if (coded->len > UINT32_MAX)
        return NULL;
    struct output output = {.max = max_bytes < UINT32_MAX ? max_bytes + 1 : UINT32_MAX};
    bool is_whole = coding == CODING_BR     ? decode_br(coded, &output)
                    : coding == CODING_GZIP ? decode_gzip(coded, &output)
                                            : false;
    struct blob *plain = NULL;
    if (is_whole && output.used <= max_bytes) {
        plain = blob_new(output.used);
        if (output.used)
            memcpy(plain->bytes, output.bytes, output.used);
    }
    free(output.bytes);
    return plain;
}
