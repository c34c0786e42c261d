/*
 * The response parser, head to last chunk, fed in pieces whose sizes come from the input. Whatever
 * arrives: it ends, takes no byte twice, and the same bytes in one piece mean the same.
 *
 *   input = flags (1 byte: 1 HEAD, 2 upgrade) piece size (1 byte) response
 */
#include "base/must.h"
#include "edge/origin/response_parser.h"

#include <stdlib.h>

struct result {
    enum parse_event last;
    unsigned status, heads;
    uint64_t body_hash;
    size_t body_bytes;
};

static bool is_over(const struct response_parser *parser, enum parse_event event)
{
    return event == PARSE_END || event == PARSE_MALFORMED ||
           (event == PARSE_HEAD && parser->is_switching);
}

static void note(struct result *result, const struct response_parser *parser, slice body)
{
    if (result->last == PARSE_HEAD) {
        result->heads++;
        result->status = parser->response.status;
        MUST(result->status >= 100 && result->status <= 999);
        MUST(parser->response.fields.count <= RESPONSE_MAX_FIELDS);
    }
    if (result->last == PARSE_BODY) {
        MUST(body.len > 0 && result->heads == 1);
        result->body_bytes += body.len;
        for (size_t i = 0; i < body.len; i++)
            result->body_hash = result->body_hash * 31 + (unsigned char)body.ptr[i];
    }
}

/* False: the response is over. */
static bool feed(struct response_parser *parser, slice piece, struct result *result)
{
    char *copy = malloc(piece.len ? piece.len : 1); /* its end is watched */
    MUST(copy);
    memcpy(copy, piece.ptr, piece.len);
    slice input = slice_of(copy, piece.len);
    bool goes_on = true;
    do {
        slice body = SLICE_NONE;
        size_t before = input.len;
        result->last = response_parser_next(parser, &input, &body);
        MUST(input.len <= before);
        note(result, parser, body);
        goes_on = !is_over(parser, result->last);
    } while (goes_on && result->last != PARSE_NEED_MORE);
    free(copy);
    return goes_on;
}

static struct result parse(slice all, unsigned flags, size_t piece_bytes)
{
    struct response_parser parser;
    struct result result = {0};
    response_parser_init(&parser, flags & 1, flags & 2);
    while (all.len > 0 && feed(&parser, slice_until(all, piece_bytes), &result))
        all = slice_from(all, piece_bytes);
    response_parser_close(&parser, false);
    MUST((result.last == PARSE_MALFORMED) == (parser.mistake != NULL));
    response_parser_fini(&parser);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    slice all = slice_of((const char *)data + 2, size - 2);
    struct result whole = parse(all, data[0], SIZE_MAX);
    struct result pieces = parse(all, data[0], data[1] ? data[1] : 1);
    MUST(whole.last == pieces.last);
    MUST(whole.status == pieces.status && whole.heads == pieces.heads);
    MUST(whole.body_hash == pieces.body_hash && whole.body_bytes == pieces.body_bytes);
    return 0;
}
