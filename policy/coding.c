/* Content codings (RFC 9110 §8.4, §12.5.3): which one a response came in, which ones a client can
 * read. */
#include "policy/response.h"
#include "policy/weighted.h"

static const slice names[CODING_COUNT] = {
    [CODING_IDENTITY] = {"identity", 8}, [CODING_GZIP] = {"gzip", 4}, [CODING_BR] = {"br", 2}};

slice coding_name(enum coding coding)
{
    return coding < CODING_COUNT ? names[coding] : SLICE_NONE;
}

static enum coding coding_of_name(slice name)
{
    for (unsigned coding = 0; coding < CODING_COUNT; coding++)
        if (slice_equal_nocase(names[coding], name))
            return (enum coding)coding;
    return slice_equal_nocase(name, SLICE("x-gzip")) ? CODING_GZIP : CODING_UNKNOWN;
}

enum coding coding_of_response(const struct fields *fields)
{
    enum coding coding = CODING_IDENTITY;
    size_t members = 0;
    for (size_t i = 0; i < fields->count; i++) {
        slice rest = fields->at[i].value, member;
        while (fields->at[i].id == FIELD_CONTENT_ENCODING && slice_next_member(&rest, &member)) {
            coding = coding_of_name(member);
            members++;
        }
    }
    return members > 1 ? CODING_UNKNOWN : coding;
}

struct acceptance { /* bit sets of codings; `star` is what "*" says, if it stands there */
    unsigned accepted, refused;
    bool star_is_accepted, star_is_refused;
};

static void read_member(struct acceptance *a, slice token, bool is_refused)
{
    enum coding coding = coding_of_name(token);
    if (slice_equal(token, SLICE("*")))
        *(is_refused ? &a->star_is_refused : &a->star_is_accepted) = true;
    else if (coding != CODING_UNKNOWN)
        *(is_refused ? &a->refused : &a->accepted) |= 1u << coding;
}

/* Without the field RFC 9110 allows any coding; but who asks for none often reads none. */
unsigned codings_accepted(const struct fields *request_fields)
{
    enum { ALL = (1u << CODING_COUNT) - 1, IDENTITY = 1u << CODING_IDENTITY };
    struct acceptance a = {0};
    for (size_t i = 0; i < request_fields->count; i++) {
        slice rest = request_fields->at[i].value, token;
        unsigned weight;
        while (request_fields->at[i].id == FIELD_ACCEPT_ENCODING &&
               weighted_next(&rest, &token, &weight))
            read_member(&a, token, weight == 0);
    }
    unsigned by_star = a.star_is_accepted ? ALL : a.star_is_refused ? 0 : IDENTITY;
    return (a.accepted | by_star) & ~a.refused;
}

bool coding_is_readable(enum coding coding, const struct fields *request_fields)
{
    return coding == CODING_IDENTITY || coding == CODING_UNKNOWN ||
           codings_accepted(request_fields) & 1u << coding;
}
