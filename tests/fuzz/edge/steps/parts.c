/* Ranges of stored responses (RFC 9110 §14): which bytes of which body a 206 must hold. */
#include "tests/fuzz/edge/steps/model.h"

#include <stdio.h>
#include <stdlib.h>

enum { PARTS_BYTES_MAX = 1 << 20 };

/* Of "bytes 2-11/12". */
static bool read_range(slice text, size_t all, size_t *from, size_t *until)
{
    char copy[64];
    size_t last, length;
    snprintf(copy, sizeof(copy), "%" SLICE_FMT, SLICE_ARG(text));
    if (sscanf(copy, "bytes %zu-%zu/%zu", from, &last, &length) != 3)
        return false;
    *until = last + 1;
    return length == all && *from <= last && last < all;
}

/* The whole or nothing, unless the client has this very representation (RFC 9110 §13.1.5). */
static void check_if_range(const struct visit *visit, const struct chain *chain)
{
    const struct render *body = chain->at[0];
    const char *wanted = visit_value(visit, "if-range");
    char etag[16];
    snprintf(etag, sizeof(etag), "\"e%u\"", body->serial);
    FORBID(wanted && (!body->plan.has_etag || body->plan.etag_is_weak || strcmp(etag, wanted) != 0),
           "9110 §13.1.5 a part of another representation");
}

void parts_expect(struct visit *visit, const struct chain *chain, const struct sink_head *head)
{
    size_t all = chain->at[0]->body_bytes;
    FORBID(!visit_value(visit, "range"), "9110 §14.2 a 206 that nobody asked for");
    check_if_range(visit, chain);
    slice type = fields_value(head->fields, FIELD_CONTENT_TYPE);
    if (slice_starts_with(type, SLICE("multipart/byteranges"))) {
        visit->parts = mem_alloc(PARTS_BYTES_MAX);
        visit->until = head->length;
        return;
    }
    FORBID(!read_range(fields_value(head->fields, FIELD_CONTENT_RANGE), all, &visit->from,
                       &visit->until),
           "9110 §14.4 a wrong Content-Range");
}

void parts_take(struct visit *visit, slice bytes)
{
    if (visit->got + bytes.len <= PARTS_BYTES_MAX)
        memcpy(visit->parts + visit->got, bytes.ptr, bytes.len);
}

/* Each part says where it belongs (RFC 9110 §14.6). */
static size_t check_parts(const struct visit *visit, const struct chain *chain)
{
    const slice mark = SLICE("Content-Range: "), gap = SLICE("\r\n\r\n");
    slice rest = slice_of(visit->parts, visit->got);
    size_t count = 0, from, until;
    for (size_t at; (at = slice_search(rest, mark)) < rest.len; count++) {
        rest = slice_from(rest, at + mark.len);
        slice range = slice_until(rest, slice_search(rest, gap));
        FORBID(!read_range(range, chain->at[0]->body_bytes, &from, &until),
               "9110 §14.4 a wrong Content-Range");
        rest = slice_from(rest, range.len + gap.len);
        FORBID(rest.len < until - from, "9110 §14.6 a part that is cut");
        for (size_t i = from; i < until; i++)
            FORBID(rest.ptr[i - from] != plan_body_byte(visit->serial, i),
                   "bytes of another body in a part");
        rest = slice_from(rest, until - from);
    }
    return count;
}

void parts_end(struct visit *visit, const struct render *body, bool is_whole)
{
    struct chain made_of = {.at = {body}, .count = 1}, *chain = &made_of;
    if (visit->parts && is_whole)
        FORBID(check_parts(visit, chain) < 2, "9110 §14.6 parts that are not there");
    free(visit->parts);
    visit->parts = NULL;
}
