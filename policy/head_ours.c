/* What varve itself says in every request to an origin. */
#include "base/text.h"
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

enum { KNOWN_CODINGS = 3 };

static slice known_coding(slice token)
{
    static const char *const known[KNOWN_CODINGS] = {"br", "gzip", "identity"};
    for (size_t i = 0; i < KNOWN_CODINGS; i++)
        if (slice_equal_nocase(token, slice_of_string(known[i])))
            return slice_of_string(known[i]);
    return slice_equal_nocase(token, SLICE("x-gzip")) ? SLICE("gzip") : SLICE_NONE;
}

/* What the client says of each coding, in the order in which it names them. */
struct wishes {
    struct wish {
        slice coding;
        unsigned weight;
    } at[KNOWN_CODINGS];
    size_t count;
};

static struct wish *find_wish(struct wishes *wishes, slice coding)
{
    for (size_t i = 0; i < wishes->count; i++)
        if (slice_equal(wishes->at[i].coding, coding))
            return &wishes->at[i];
    return NULL;
}

/* Of a coding that is named again the lowest weight counts: a refusal stands. */
static void add_wish(struct wishes *wishes, slice coding, unsigned weight)
{
    struct wish *before = find_wish(wishes, coding);
    if (!before)
        wishes->at[wishes->count++] = (struct wish){coding, weight};
    else if (weight < before->weight)
        before->weight = weight;
}

/* "*" stands for br and gzip where they are not named. */
static void expand_any(struct wishes *wishes, unsigned weight)
{
    const slice codings[] = {SLICE("br"), SLICE("gzip")};
    for (size_t i = 0; i < sizeof(codings) / sizeof(codings[0]); i++)
        if (!find_wish(wishes, codings[i]))
            add_wish(wishes, codings[i], weight);
}

static slice wishes_text(const struct wishes *wishes, struct arena *arena)
{
    struct text text = {.arena = arena};
    for (size_t i = 0; i < wishes->count; i++) {
        unsigned weight = wishes->at[i].weight;
        text_add(&text, i ? SLICE(", ") : SLICE_NONE);
        text_add(&text, wishes->at[i].coding);
        if (weight != WEIGHT_FULL)
            text_add(&text,
                     arena_printf(arena, ";q=%u.%03u", weight / WEIGHT_FULL, weight % WEIGHT_FULL));
    }
    return text_view(&text);
}

slice head_reduce_codings(const struct request *request)
{
    slice rest, token;
    struct wishes wishes = {.count = 0};
    unsigned weight, any = 0;
    if (!fields_join_id(&request->fields, FIELD_ACCEPT_ENCODING, request->arena, &rest))
        return SLICE_NONE;
    while (weighted_next(&rest, &token, &weight)) {
        slice coding = known_coding(token);
        if (slice_equal(token, SLICE("*")))
            any = weight;
        else if (coding.len)
            add_wish(&wishes, coding, weight);
    }
    if (any > 0)
        expand_any(&wishes, any);
    return wishes.count ? wishes_text(&wishes, request->arena) : SLICE("identity");
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
