/* The rows of seal.def, and the fields that belong to one hop or one client by RFC 9110. */
#include "policy/seal.h"

#include "policy/representation.h"

enum seal_kind { SEAL_KIND_NONE, SEAL_KIND_HELD, SEAL_KIND_INTERNAL };

static const struct row {
    slice pattern;
    enum seal_kind kind;
} rows[] = {
#define SEAL(pattern, kind) {{"" pattern, sizeof(pattern) - 1}, SEAL_KIND_##kind},
#include "policy/seal.def"
#undef SEAL
};

/*
 * The first three bytes of each row, side by side: nearly every name is looked for in vain, on each
 * request.
 */
enum { HEAD_BYTES = 3 };
#define HEAD(text)                                                                                 \
    ((uint32_t)(unsigned char)(text)[0] | (uint32_t)(unsigned char)(text)[1] << 8 |                \
     (uint32_t)(unsigned char)(text)[2] << 16)
static const uint32_t heads[] = {
#define SEAL(pattern, kind) HEAD(pattern),
#include "policy/seal.def"
#undef SEAL
};
#define SEAL(pattern, kind)                                                                        \
    _Static_assert(sizeof(pattern) > HEAD_BYTES, "a row needs three bytes before its *");
#include "policy/seal.def"
#undef SEAL

static bool row_matches(slice pattern, slice name)
{
    if (pattern.ptr[pattern.len - 1] == '*')
        return slice_starts_with(name, slice_until(pattern, pattern.len - 1));
    return slice_equal(name, pattern);
}

/* Bit set of the rows' first letters. Folded to a constant. */
static inline uint32_t first_letters(void)
{
    return 0
#define SEAL(pattern, kind) | 1u << ((pattern)[0] - 'a')
#include "policy/seal.def"
#undef SEAL
        ;
}

static bool may_be_listed(slice name)
{
    return name.len && name.ptr[0] >= 'a' && name.ptr[0] <= 'z' &&
           (first_letters() >> (name.ptr[0] - 'a') & 1);
}

/* The first row that matches decides. Fields of semantics 1.4 are keyed, so none of them is here.
 */
static enum seal_kind kind_of(slice name)
{
    if (!may_be_listed(name) || name.len < HEAD_BYTES || representation_is_field(name))
        return SEAL_KIND_NONE;
    uint32_t head = HEAD(name.ptr);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (heads[i] == head && row_matches(rows[i].pattern, name))
            return rows[i].kind;
    return SEAL_KIND_NONE;
}

bool seal_holds_back(slice name)
{
    return slice_find(name, '_', 0) < name.len || kind_of(name) != SEAL_KIND_NONE;
}

bool seal_is_internal(slice name)
{
    return kind_of(name) == SEAL_KIND_INTERNAL;
}

bool seal_is_hop_by_hop(const struct fields *fields, const struct field *field)
{
    switch (field->id) {
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_PROXY_AUTHENTICATE:
    case FIELD_PROXY_AUTHENTICATION_INFO:
    case FIELD_PROXY_AUTHORIZATION:
    case FIELD_TE:
    case FIELD_TRAILER:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_UPGRADE:
    case FIELD_CONTENT_LENGTH: /* the origin client frames the message anew */
    case FIELD_HOST:
    case FIELD_EXPECT: /* the body is here already */
        return true;
    default:
        return slice_equal(field->name, SLICE("http2-settings")) ||
               fields_has_member(fields, FIELD_CONNECTION, field->name);
    }
}

bool seal_is_conditional(enum field_id id)
{
    return id == FIELD_IF_MATCH || id == FIELD_IF_NONE_MATCH || id == FIELD_IF_MODIFIED_SINCE ||
           id == FIELD_IF_UNMODIFIED_SINCE || id == FIELD_IF_RANGE || id == FIELD_RANGE;
}
