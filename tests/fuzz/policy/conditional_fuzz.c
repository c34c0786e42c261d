/*
 * If-None-Match, If-Modified-Since, Range and If-Range against a stored page. Lists of proper
 * entity-tags, and proper sets of ranges, are read as a plain scan reads them; any ranges lie in
 * the body and are never more than it.
 *
 *   input = flags (1 byte) body length (4 bytes), then lines: ETag, Last-Modified, If-None-Match,
 *           If-Modified-Since, Range, If-Range
 */
#include "policy/range.h"
#include "policy/response.h"

#include "tests/fuzz/input.h"

enum { NO_ETAG = 1, NO_CHANGE = 2, TAGS = 4, DATE = 8, RANGE = 16, IF_RANGE = 32, POST = 64 };

static const wall_time now = {1731622400000};

static void add_if(struct fields *fields, bool is_wanted, enum field_id id, slice line)
{
    if (is_wanted)
        fields_add_id(fields, id, slice_trim(line));
}

/* --- conditions --- */

static slice opaque(slice tag)
{
    return slice_starts_with(tag, SLICE("W/")) ? slice_from(tag, 2) : tag;
}

/* entity-tag = [ "W/" ] DQUOTE *etagc DQUOTE; without commas, that a plain split may do */
static bool is_proper_tag(slice tag)
{
    slice text = opaque(tag);
    if (text.len < 2 || text.ptr[0] != '"' || text.ptr[text.len - 1] != '"')
        return false;
    for (size_t i = 1; i + 1 < text.len; i++)
        if (text.ptr[i] == '"' || text.ptr[i] == ',' || (unsigned char)text.ptr[i] <= ' ')
            return false;
    return true;
}

static bool is_proper_list(slice list)
{
    slice tag;
    bool is_proper = list.len > 0;
    while (is_proper && slice_next(&list, ',', &tag))
        is_proper = is_proper_tag(slice_trim(tag));
    return is_proper;
}

static bool holds(slice list, slice stored)
{
    slice tag;
    while (slice_next(&list, ',', &tag))
        if (slice_equal(opaque(slice_trim(tag)), opaque(stored)))
            return true;
    return false;
}

static void check_conditions(const struct request *request, const struct fields *stored)
{
    bool is_304 = conditional_is_not_modified(request, stored, now);
    slice list = fields_value(&request->fields, FIELD_IF_NONE_MATCH);
    slice etag = fields_value(stored, FIELD_ETAG);
    bool has_list = fields_find_id(&request->fields, FIELD_IF_NONE_MATCH) != NULL;
    bool has_date = fields_find_id(&request->fields, FIELD_IF_MODIFIED_SINCE) != NULL;
    MUST(!is_304 || (request->method == METHOD_GET && (has_list || has_date)));
    if (request->method == METHOD_GET && is_proper_list(list) && is_proper_tag(etag))
        MUST(is_304 == holds(list, etag));
    if (request->method == METHOD_GET && slice_equal(list, SLICE("*")))
        MUST(is_304);
    MUST(etag_weak_equal(list, etag) == etag_weak_equal(etag, list));
}

/* What varve asks with must hold against what it has. */
static void check_validators(struct request *request, const struct fields *stored)
{
    struct fields asked;
    fields_init(&asked, request->arena);
    if (!fields_add_validators(stored, now, &asked))
        return;
    MUST(asked.count >= 1 && asked.count <= 2);
    request->method = METHOD_GET;
    request->fields = asked;
    if (is_proper_tag(fields_value(stored, FIELD_ETAG)) || asked.at[0].id != FIELD_IF_NONE_MATCH)
        MUST(conditional_is_not_modified(request, stored, now));
}

/* --- ranges --- */

static void check_parts(const struct ranges *ranges, uint64_t length)
{
    uint64_t sum = 0;
    MUST(ranges->count >= 1 && ranges->count <= RANGES_MAX);
    for (size_t i = 0; i < ranges->count; i++) {
        MUST(ranges->at[i].first <= ranges->at[i].last && ranges->at[i].last < length);
        sum += ranges->at[i].last - ranges->at[i].first + 1;
    }
    MUST(sum <= length);
}

/* "bytes=A-B" with both given, the first of them in the body. */
static bool is_one_plain_range(slice text, struct byte_range *range)
{
    size_t dash = slice_find(text, '-', 0);
    return slice_starts_with(text, SLICE("bytes=")) &&
           slice_to_u64(slice_from(slice_until(text, dash), 6), &range->first) &&
           slice_to_u64(slice_from(text, dash + 1), &range->last) && range->first <= range->last;
}

static void check_ranges(const struct request *request, const struct fields *stored,
                         uint64_t length)
{
    struct ranges ranges;
    struct byte_range plain;
    slice text = fields_value(&request->fields, FIELD_RANGE);
    ranges_of_request(request, stored, now, length, &ranges);
    if (ranges.kind == RANGE_PARTS)
        check_parts(&ranges, length);
    MUST(ranges.kind == RANGE_WHOLE || range_is_asked(request));
    if (!range_is_asked(request) || fields_find_id(&request->fields, FIELD_IF_RANGE) ||
        !is_one_plain_range(text, &plain))
        return;
    MUST(ranges.kind == (plain.first < length ? RANGE_PARTS : RANGE_UNSATISFIABLE));
    if (ranges.kind == RANGE_PARTS)
        MUST(ranges.at[0].first == plain.first &&
             ranges.at[0].last == (plain.last < length ? plain.last : length - 1));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096);
    unsigned flags = take_byte(&input);
    uint32_t length;
    struct arena arena;
    struct fields stored;
    arena_init(&arena);
    take_bytes(&input, &length, sizeof(length));
    fields_init(&stored, &arena);
    add_if(&stored, !(flags & NO_ETAG), FIELD_ETAG, take_line(&input));
    add_if(&stored, !(flags & NO_CHANGE), FIELD_LAST_MODIFIED, take_line(&input));
    struct request request = {.arena = &arena,
                              .method = flags & POST ? METHOD_POST : METHOD_GET,
                              .received = {now, {5000}}};
    fields_init(&request.fields, &arena);
    add_if(&request.fields, flags & TAGS, FIELD_IF_NONE_MATCH, take_line(&input));
    add_if(&request.fields, flags & DATE, FIELD_IF_MODIFIED_SINCE, take_line(&input));
    add_if(&request.fields, flags & RANGE, FIELD_RANGE, take_line(&input));
    add_if(&request.fields, flags & IF_RANGE, FIELD_IF_RANGE, take_line(&input));
    check_conditions(&request, &stored);
    check_ranges(&request, &stored, length);
    check_validators(&request, &stored);
    arena_fini(&arena);
    return 0;
}
