/*
 * Coded bodies of a renderer. The first byte chooses coding and limit; what decodes must stay
 * within the limit, and must come back from a coding of our own.
 */
#include "edge/request/codec.h"

#include "base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct blob *blob_of(const void *bytes, size_t length)
{
    struct blob *blob = blob_new(length);
    if (length)
        memcpy(blob->bytes, bytes, length);
    return blob;
}

static void check_round_trip(enum coding coding, const struct blob *plain)
{
    struct blob *coded = body_encode(coding, plain);
    if (!coded)
        return;
    MUST(coded->len < plain->len);
    struct blob *back = body_decode(coding, coded, plain->len);
    MUST(back && back->len == plain->len && memcmp(back->bytes, plain->bytes, plain->len) == 0);
    blob_unref(&back);
    blob_unref(&coded);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum coding coding = data[0] & 1 ? CODING_BR : CODING_GZIP;
    size_t limit = data[0] & 2 ? 1 << 18 : (size_t)data[0] << 4;
    struct blob *coded = blob_of(data + 1, size - 1), *plain = body_decode(coding, coded, limit);
    if (plain) {
        MUST(plain->len <= limit);
        check_round_trip(coding, plain);
    }
    check_round_trip(coding, coded);
    blob_unref(&plain);
    blob_unref(&coded);
    return 0;
}
