/*
 * Request heads and chunked bodies: no crash, and four promises — the same verdict in pieces as at
 * once; libh2o's own parser takes what passed; method and target are the same to both; a chunked
 * body that passed has one end. The first byte says where the pieces end.
 */
#include "edge/http/chunk_check.h"
#include "edge/http/head_check.h"

#include "base/must.h"

#include <sys/types.h>

struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};
int phr_parse_request(const char *bytes, size_t length, const char **method, size_t *method_length,
                      const char **path, size_t *path_length, int *minor,
                      struct phr_header *headers, size_t *header_count, size_t last_length);

enum { FIELDS_MAX = 100 };
static const struct head_limits limits = {
    .head_bytes = 32768, .url_bytes = 8192, .fields = FIELDS_MAX};

static enum head_verdict read_in_pieces(slice input, size_t piece, struct head *head)
{
    struct head_scan scan = {0};
    struct head_refusal refusal = {0};
    enum head_verdict verdict = HEAD_INCOMPLETE;
    size_t bytes = 0;
    for (size_t have = 0; have < input.len && verdict == HEAD_INCOMPLETE;) {
        have = have + piece < input.len ? have + piece : input.len;
        verdict = head_scan(&scan, slice_until(input, have), &limits, &bytes, &refusal);
    }
    if (verdict == HEAD_OK)
        verdict = head_check(slice_until(input, bytes), &limits, head, &refusal);
    MUST(verdict != HEAD_REFUSED || (refusal.status >= 400 && refusal.status <= 505));
    return verdict;
}

static void compare_with_libh2o(slice input, const struct head *head)
{
    struct phr_header headers[FIELDS_MAX];
    size_t count = FIELDS_MAX, method_length, path_length;
    const char *method, *path;
    int minor;
    int length = phr_parse_request(input.ptr, head->bytes, &method, &method_length, &path,
                                   &path_length, &minor, headers, &count, 0);
    MUST(length == (int)head->bytes);
    MUST(slice_equal(head->method, slice_of(method, method_length)));
    MUST(slice_equal(head->target, slice_of(path, path_length)));
    for (size_t i = 0; i < count; i++)
        MUST(headers[i].name_len > 0);
}

static void read_body(slice body, size_t piece)
{
    struct chunk_scan whole = {0}, parts = {0};
    size_t used = 0, total = 0;
    enum chunk_verdict expected = chunk_scan(&whole, body, &used), verdict = CHUNK_MORE;
    while (verdict == CHUNK_MORE && total < body.len) {
        size_t taken = 0;
        verdict = chunk_scan(&parts, slice_until(slice_from(body, total), piece), &taken);
        total += taken;
    }
    MUST(body.len == 0 || verdict == expected);
    MUST(expected != CHUNK_DONE || (used == total && used <= body.len));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    size_t piece = (size_t)data[0] % 64 + 1;
    slice input = slice_of((const char *)data + 1, size - 1);
    struct head head = {0}, again = {0};
    enum head_verdict verdict = read_in_pieces(input, SIZE_MAX / 2, &head);
    MUST(read_in_pieces(input, piece, &again) == verdict);
    if (verdict != HEAD_OK)
        return 0;
    MUST(again.bytes == head.bytes && again.body == head.body);
    compare_with_libh2o(input, &head);
    if (head.body == HEAD_BODY_CHUNKED)
        read_body(slice_from(input, head.bytes), piece);
    return 0;
}
