/*
 * Conditions: those of clients answered from what is stored (RFC 9110 §13.1, §13.2.2; RFC 9111
 * §4.3.2), and varve's own towards the origin (§4.3.1). If-Match and If-Unmodified-Since are for
 * origins; a cache may leave them alone (RFC 9110 §13.1.1).
 */
#include "policy/date.h"
#include "policy/response.h"

static slice opaque_tag(slice etag)
{
    return slice_starts_with(etag, SLICE("W/")) ? slice_from(etag, 2) : etag;
}

bool etag_weak_equal(slice a, slice b)
{
    return opaque_tag(a).len > 0 && slice_equal(opaque_tag(a), opaque_tag(b));
}

/*
 * Next entity-tag of a list. Not slice_next_member(): in an entity-tag a backslash escapes nothing.
 * Tags without quotes, which some renderers make, end at the next comma.
 */
static bool next_etag(slice *rest, slice *etag)
{
    slice s = *rest;
    while (s.len && (s.ptr[0] == ',' || s.ptr[0] == ' ' || s.ptr[0] == '\t'))
        s = slice_from(s, 1);
    if (s.len == 0)
        return false;
    size_t quote = slice_starts_with(s, SLICE("W/")) ? 2 : 0, end = 0;
    if (quote < s.len && s.ptr[quote] == '"')
        end = slice_find(s, '"', quote + 1) + 1;
    end = slice_find(s, ',', end);
    *etag = slice_trim(slice_until(s, end));
    *rest = slice_from(s, end);
    return true;
}

static bool none_match_holds(const struct request *request, slice stored)
{
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *field = &request->fields.at[i];
        slice rest = field->value, etag;
        while (field->id == FIELD_IF_NONE_MATCH && next_etag(&rest, &etag))
            if (slice_equal(etag, SLICE("*")) || etag_weak_equal(etag, stored))
                return true;
    }
    return false;
}

/* Not changed since the date that the client gave: equal counts. */
static bool modified_since_holds(const struct request *request, const struct fields *stored,
                                 wall_time date)
{
    wall_time now = request->received.wall, since, changed;
    if (fields_count_id(&request->fields, FIELD_IF_MODIFIED_SINCE) != 1 ||
        !http_date_parse(fields_value(&request->fields, FIELD_IF_MODIFIED_SINCE), now, &since))
        return false;
    if (!http_date_parse(fields_value(stored, FIELD_LAST_MODIFIED), now, &changed))
        changed = date;
    return changed.ms <= since.ms;
}

bool conditional_is_not_modified(const struct request *request, const struct fields *stored,
                                 wall_time date)
{
    if (request->method != METHOD_GET && request->method != METHOD_HEAD)
        return false;
    if (fields_find_id(&request->fields, FIELD_IF_NONE_MATCH))
        return none_match_holds(request, slice_trim(fields_value(stored, FIELD_ETAG)));
    return modified_since_holds(request, stored, date);
}

/* RFC 9110 §15.4.5: no metadata of a body that is not there, but for what updates a cache. */
void fields_keep_for_304(struct fields *fields)
{
    bool has_etag = fields_find_id(fields, FIELD_ETAG) != NULL;
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        bool is_of_body = slice_starts_with(field->name, SLICE("content-")) &&
                          field->id != FIELD_CONTENT_LOCATION &&
                          !slice_starts_with(field->name, SLICE("content-security-policy"));
        if (is_of_body || (has_etag && field->id == FIELD_LAST_MODIFIED))
            continue;
        fields->at[kept++] = *field;
    }
    fields->count = kept;
}

bool fields_add_validators(const struct fields *stored, wall_time now, struct fields *request)
{
    wall_time ignored;
    slice etag = slice_trim(fields_value(stored, FIELD_ETAG));
    slice last_modified = slice_trim(fields_value(stored, FIELD_LAST_MODIFIED));
    bool has_date = http_date_parse(last_modified, now, &ignored);
    if (etag.len)
        fields_add_id(request, FIELD_IF_NONE_MATCH, etag);
    if (has_date)
        fields_add_id(request, FIELD_IF_MODIFIED_SINCE, last_modified);
    return etag.len || has_date;
}
