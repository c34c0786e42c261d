/*
 *   Via         = #( received-protocol RWS received-by [ RWS comment ] )
 *   received-by = pseudonym [ ":" port ]
 */
#include "policy/via.h"

static const slice OUR_NAME = {"varve", 5};

void via_add(struct fields *fields, slice version, struct arena *arena)
{
    slice before = SLICE_NONE;
    (void)fields_join_id(fields, FIELD_VIA, arena, &before);
    const slice parts[] = {before, before.len ? SLICE(", ") : SLICE_NONE, version, SLICE(" "),
                           OUR_NAME};
    fields_set_id(fields, FIELD_VIA, arena_concat(arena, parts, 5));
}

slice via_version(const struct request *request)
{
    if (request->http_major != 1)
        return SLICE("2.0");
    return request->http_minor ? SLICE("1.1") : SLICE("1.0");
}

static slice next_word(slice *rest)
{
    *rest = slice_trim(*rest);
    size_t end = 0;
    while (end < rest->len && rest->ptr[end] != ' ' && rest->ptr[end] != '\t')
        end++;
    slice word = slice_until(*rest, end);
    *rest = slice_from(*rest, end);
    return word;
}

/* There are no quoted-strings in Via: a quotation mark hides nothing that stands behind it. */
size_t via_passages(const struct fields *fields)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++) {
        slice rest = fields->at[i].value, member;
        while (fields->at[i].id == FIELD_VIA && slice_next(&rest, ',', &member)) {
            (void)next_word(&member);
            count += slice_equal_nocase(next_word(&member), OUR_NAME);
        }
    }
    return count;
}
