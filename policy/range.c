/*
 * Ranges of bytes. Whatever cannot be read, overlaps into more than there is, or comes with a
 * condition that does not hold, is as if it had not been asked for: a 200 is always right
 * (RFC 9110 §14.2).
 */
#include "policy/range.h"

#include "policy/date.h"

bool range_is_asked(const struct request *request)
{
    return request->method == METHOD_GET && fields_find_id(&request->fields, FIELD_RANGE);
}

/* A date is a strong validator only if nothing can have changed within its second
 * (RFC 9110 §8.8.2.2). */
static bool is_same_date(slice condition, slice last_modified, wall_time date)
{
    wall_time wanted, changed;
    return http_date_parse(condition, date, &wanted) &&
           http_date_parse(last_modified, date, &changed) && wanted.ms == changed.ms &&
           wall_since(date, changed).ms >= 1000;
}

/* RFC 9110 §13.1.5: strong comparison, and a condition that cannot be read does not hold. */
static bool if_range_holds(const struct request *request, const struct fields *delivered,
                           wall_time date)
{
    size_t count = fields_count_id(&request->fields, FIELD_IF_RANGE);
    slice condition = slice_trim(fields_value(&request->fields, FIELD_IF_RANGE));
    if (count == 0)
        return true;
    if (count > 1)
        return false;
    if (slice_starts_with(condition, SLICE("\"")))
        return slice_equal(condition, slice_trim(fields_value(delivered, FIELD_ETAG)));
    return is_same_date(condition, slice_trim(fields_value(delivered, FIELD_LAST_MODIFIED)), date);
}

/* "0-1", "5-" or "-3". False: not a range. *is_there: it has bytes in common with the body. */
static bool read_range(slice text, uint64_t length, struct byte_range *range, bool *is_there)
{
    size_t dash = slice_find(text, '-', 0);
    slice first = slice_until(text, dash), last = slice_from(text, dash + 1);
    uint64_t suffix;
    if (dash == text.len)
        return false;
    if (first.len == 0) {
        if (!slice_to_u64(last, &suffix))
            return false;
        *is_there = suffix > 0 && length > 0;
        *range = (struct byte_range){suffix < length ? length - suffix : 0, length - 1};
        return true;
    }
    range->last = UINT64_MAX;
    if (!slice_to_u64(first, &range->first) || (last.len && !slice_to_u64(last, &range->last)) ||
        range->last < range->first)
        return false;
    *is_there = range->first < length;
    if (range->last >= length)
        range->last = length - 1;
    return true;
}

/* False: the set is malformed, or too much of it. */
static bool read_ranges(slice set, uint64_t length, struct ranges *ranges)
{
    uint64_t sum = 0;
    size_t members = 0;
    slice member;
    while (slice_next_member(&set, &member)) {
        struct byte_range range;
        bool is_there;
        if (++members > RANGES_MAX || !read_range(member, length, &range, &is_there))
            return false;
        if (!is_there)
            continue;
        ranges->at[ranges->count++] = range;
        sum += range.last - range.first + 1;
    }
    /* parts that together are more than the whole only cost (RFC 9110 §14.2, §17.15) */
    return members > 0 && sum <= length;
}

void ranges_of_request(const struct request *request, const struct fields *delivered,
                       wall_time date, uint64_t length, struct ranges *ranges)
{
    const slice unit = SLICE("bytes=");
    *ranges = (struct ranges){.kind = RANGE_WHOLE};
    if (!range_is_asked(request) || fields_count_id(&request->fields, FIELD_RANGE) > 1 ||
        !if_range_holds(request, delivered, date))
        return;
    slice text = slice_trim(fields_value(&request->fields, FIELD_RANGE));
    if (!slice_starts_with_nocase(text, unit) ||
        !read_ranges(slice_from(text, unit.len), length, ranges))
        return;
    ranges->kind = ranges->count ? RANGE_PARTS : RANGE_UNSATISFIABLE;
}
