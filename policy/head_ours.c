/* What varve itself says in every request to an origin. */
#include "policy/head.h"
#include "policy/template.h"
#include "policy/weighted.h"

void head_add_ours(struct fields *fields, const struct request *request,
                   const struct decision *decision, slice accept_encoding)
{
    const struct origin_config *origin = decision->origin;
    if (accept_encoding.len)
        fields_add_id(fields, FIELD_ACCEPT_ENCODING, accept_encoding);
    fields_add_id(fields, FIELD_X_FORWARDED_PROTO, request->scheme);
    fields_add_id(fields, FIELD_X_FORWARDED_HOST, request->host);
    for (size_t i = 0; i < origin->set_header_count; i++)
        fields_set(fields, origin->set_headers[i].name,
                   template_header(&origin->set_headers[i], request, decision));
    if (request->id.len)
        fields_set_id(fields, FIELD_X_REQUEST_ID, request->id);
}

static slice known_coding(slice token)
{
    static const char *const known[] = {"br", "gzip", "identity"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (slice_equal_nocase(token, slice_of_string(known[i])))
            return slice_of_string(known[i]);
    return slice_equal_nocase(token, SLICE("x-gzip")) ? SLICE("gzip") : SLICE_NONE;
}

static slice append_coding(struct arena *arena, slice list, slice coding, unsigned weight)
{
    slice comma = list.len ? SLICE(", ") : SLICE_NONE;
    slice q = weight == WEIGHT_FULL
                  ? SLICE_NONE
                  : arena_printf(arena, ";q=%u.%03u", weight / WEIGHT_FULL, weight % WEIGHT_FULL);
    return arena_concat(arena, (slice[]){list, comma, coding, q}, 4);
}

/* "*" stands for br and gzip where they are not named. */
static slice expand_any(struct arena *arena, slice list, slice original, unsigned weight)
{
    const slice codings[] = {SLICE("br"), SLICE("gzip")};
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++) {
        slice rest = original, token;
        unsigned ignored;
        bool is_named = false;
        while (weighted_next(&rest, &token, &ignored))
            is_named |= slice_equal(known_coding(token), codings[i]);
        if (!is_named)
            list = append_coding(arena, list, codings[i], weight);
    }
    return list;
}

slice head_reduce_codings(const struct request *request)
{
    slice original, token, reduced = SLICE_NONE;
    unsigned weight, any = 0;
    if (!fields_join_id(&request->fields, FIELD_ACCEPT_ENCODING, request->arena, &original))
        return SLICE_NONE;
    slice rest = original;
    while (weighted_next(&rest, &token, &weight)) {
        slice coding = known_coding(token);
        if (slice_equal(token, SLICE("*")))
            any = weight;
        else if (coding.len)
            reduced = append_coding(request->arena, reduced, coding, weight);
    }
    if (any > 0)
        reduced = expand_any(request->arena, reduced, original, any);
    return reduced.len ? reduced : SLICE("identity");
}

slice head_forwarded_for(const struct request *request)
{
    char text[IP_TEXT_BYTES];
    slice list = SLICE_NONE;
    slice peer = request->peer.is_local
                     ? SLICE_NONE
                     : arena_copy(request->arena, ip_format(&request->peer, text));
    if (request->peer_is_trusted)
        (void)fields_join_id(&request->fields, FIELD_X_FORWARDED_FOR, request->arena, &list);
    if (list.len == 0 || peer.len == 0)
        return list.len ? list : peer;
    return arena_concat(request->arena, (slice[]){list, SLICE(", "), peer}, 3);
}
