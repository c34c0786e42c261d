#include "edge/request/partial.h"

#include <sys/random.h>

static slice content_range(struct exchange *ex, const struct byte_range *range, size_t length)
{
    return arena_printf(&ex->arena, "bytes %llu-%llu/%zu", (unsigned long long)range->first,
                        (unsigned long long)range->last, length);
}

static slice bytes_of(slice body, const struct byte_range *range)
{
    return slice_of(body.ptr + range->first, (size_t)(range->last - range->first + 1));
}

/* A line that stands in no page, since nobody can guess it. */
static slice new_boundary(struct exchange *ex)
{
    uint64_t random[2];
    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        return SLICE_NONE;
    return arena_printf(&ex->arena, "%016llx%016llx", (unsigned long long)random[0],
                        (unsigned long long)random[1]);
}

static slice part_head(struct exchange *ex, slice boundary, slice content_type, slice range)
{
    slice type = SLICE_NONE;
    if (content_type.len)
        type = arena_concat(&ex->arena,
                            (slice[]){SLICE("Content-Type: "), content_type, SLICE("\r\n")}, 3);
    return arena_concat(&ex->arena,
                        (slice[]){SLICE("\r\n--"), boundary, SLICE("\r\n"), type,
                                  SLICE("Content-Range: "), range, SLICE("\r\n\r\n")},
                        7);
}

/* multipart/byteranges (RFC 9110 §14.6). */
static size_t several(struct exchange *ex, const struct ranges *ranges, slice boundary,
                      struct fields *fields, slice body, slice *pieces)
{
    slice type = slice_trim(fields_value(fields, FIELD_CONTENT_TYPE));
    size_t count = 0;
    fields_remove_id(fields, FIELD_CONTENT_RANGE); /* each part has its own */
    for (size_t i = 0; i < ranges->count; i++) {
        slice range = content_range(ex, &ranges->at[i], body.len);
        pieces[count++] = part_head(ex, boundary, type, range);
        pieces[count++] = bytes_of(body, &ranges->at[i]);
    }
    pieces[count++] =
        arena_concat(&ex->arena, (slice[]){SLICE("\r\n--"), boundary, SLICE("--\r\n")}, 3);
    fields_set_id(
        fields, FIELD_CONTENT_TYPE,
        arena_concat(&ex->arena, (slice[]){SLICE("multipart/byteranges; boundary="), boundary}, 2));
    return count;
}

/* Nothing of the page's own: least of all a lifetime, under which a cache could keep the refusal.
 */
static size_t refuse(struct exchange *ex, struct sink_head *head, struct fields *fields,
                     size_t length)
{
    slice via = fields_value(fields, FIELD_VIA), status = fields_value(fields, FIELD_CACHE_STATUS);
    fields->count = 0;
    fields_add_id(fields, FIELD_CONTENT_RANGE, arena_printf(&ex->arena, "bytes */%zu", length));
    fields_add_id(fields, FIELD_CACHE_CONTROL, SLICE("no-store"));
    fields_add_id(fields, FIELD_VIA, via);
    fields_add_id(fields, FIELD_CACHE_STATUS, status);
    head->status = 416;
    head->reason = SLICE("Range Not Satisfiable");
    head->length = 0;
    head->date = (wall_time){0}; /* now: nothing of it is the origin's */
    return 0;
}

static size_t total_bytes(const slice *pieces, size_t count)
{
    size_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += pieces[i].len;
    return sum;
}

size_t partial_pieces(struct exchange *ex, struct sink_head *head, struct fields *fields,
                      slice body, slice pieces[PARTIAL_PIECES_MAX])
{
    struct ranges ranges;
    size_t count = body.len ? 1 : 0;
    pieces[0] = body;
    ranges_of_request(ex->request, fields, head->date, body.len, &ranges);
    if (ranges.kind == RANGE_UNSATISFIABLE)
        return refuse(ex, head, fields, body.len);
    slice boundary = ranges.count > 1 ? new_boundary(ex) : SLICE_NONE;
    if (ranges.kind == RANGE_WHOLE || (ranges.count > 1 && boundary.len == 0))
        return count;
    if (ranges.count == 1) {
        pieces[0] = bytes_of(body, &ranges.at[0]);
        fields_set_id(fields, FIELD_CONTENT_RANGE, content_range(ex, &ranges.at[0], body.len));
    } else {
        count = several(ex, &ranges, boundary, fields, body, pieces);
    }
    fields_remove_id(fields, FIELD_CONTENT_DIGEST); /* of the whole content (RFC 9530 §2) */
    fields_remove_id(fields, FIELD_CONTENT_MD5);
    head->status = 206;
    head->reason = SLICE("Partial Content");
    head->length = total_bytes(pieces, count);
    return count;
}
