/* The rows of seal.def, and the fields that belong to one hop or one client by RFC 9110. */
#include "policy/seal.h"

#include "base/must.h"
#include "policy/representation.h"

#include <pthread.h>
#include <stdlib.h>

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
 * The rows by their first three bytes, and as in the table among equal ones: nearly every name is
 * looked for in vain, on each request.
 */
enum { HEAD_BYTES = 3, ROWS = sizeof(rows) / sizeof(rows[0]) };
static struct place {
    uint32_t head;
    uint16_t row;
} places[ROWS];
static pthread_once_t places_once = PTHREAD_ONCE_INIT;

static uint32_t head_of(slice name)
{
    const unsigned char *bytes = (const unsigned char *)name.ptr;
    return (uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 8 | bytes[2];
}

static int compare_places(const void *left, const void *right)
{
    const struct place *a = left, *b = right;
    return a->head != b->head ? (a->head < b->head ? -1 : 1)
                              : (a->row > b->row) - (a->row < b->row);
}

static bool is_open(slice pattern)
{
    return pattern.ptr[pattern.len - 1] == '*';
}

static void fill_places(void)
{
    for (uint16_t i = 0; i < ROWS; i++) {
        slice pattern = rows[i].pattern;
        MUST(pattern.len - is_open(pattern) >= HEAD_BYTES); /* else nobody would find it */
        places[i] = (struct place){head_of(pattern), i};
    }
    qsort(places, ROWS, sizeof(places[0]), compare_places);
}

/* The first place that is not before `head`. */
static size_t first_place(uint32_t head)
{
    size_t first = 0, end = ROWS;
    pthread_once(&places_once, fill_places);
    while (first < end) {
        size_t middle = (first + end) / 2;
        if (places[middle].head < head)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

static bool row_matches(slice pattern, slice name)
{
    if (is_open(pattern))
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
    uint32_t head = head_of(name);
    for (size_t i = first_place(head); i < ROWS && places[i].head == head; i++)
        if (row_matches(rows[places[i].row].pattern, name))
            return rows[places[i].row].kind;
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
