/*
 * A record is one allocation: the struct, its variants, the bytes of its names. It never changes;
 * who changes a URL's record makes a new one and puts it in the old one's place.
 */
#include "cache/vary.h"

#include "base/arena.h"
#include "base/must.h"

#include <stdlib.h>

struct vary_record *vary_record_new(const struct key *url_key, const struct field_names *names,
                                    bool is_known, const struct variant *variants, size_t count)
{
    size_t text = 0, list = count * sizeof(*variants);
    for (size_t i = 0; i < names->count; i++)
        text += names->at[i].len;
    struct vary_record *record = mem_alloc(sizeof(*record) + list + text);
    atomic_init(&record->refs, 1);
    record->url_key = *url_key;
    record->is_known = is_known;
    record->variant_count = count;
    record->variants = (struct variant *)(record + 1);
    if (count)
        memcpy(record->variants, variants, list);
    char *bytes = (char *)(record + 1) + list;
    record->names.count = names->count;
    for (size_t i = 0; i < names->count; i++) {
        record->names.at[i] = slice_of(bytes, names->at[i].len);
        if (names->at[i].len)
            memcpy(bytes, names->at[i].ptr, names->at[i].len);
        bytes += names->at[i].len;
    }
    return record;
}

struct vary_record *vary_record_cold(const struct key *url_key)
{
    const struct field_names none = {.count = 0};
    return vary_record_new(url_key, &none, false, NULL, 0);
}

struct vary_record *vary_record_ref(struct vary_record *record)
{
    atomic_fetch_add_explicit(&record->refs, 1, memory_order_relaxed);
    return record;
}

void vary_record_unref(struct vary_record **record)
{
    struct vary_record *r = *record;
    *record = NULL;
    if (r && atomic_fetch_sub_explicit(&r->refs, 1, memory_order_acq_rel) == 1)
        free(r);
}

bool vary_names_merge(const struct field_names *a, const struct field_names *b,
                      struct field_names *merged)
{
    struct field_names names = *a;
    for (size_t i = 0; i < b->count; i++) {
        if (!field_names_add(&names, b->at[i]))
            return false;
    }
    *merged = names;
    return true;
}

size_t vary_record_find(const struct vary_record *record, const struct key *key)
{
    size_t i = 0;
    while (i < record->variant_count && !key_equal(&record->variants[i].key, key))
        i++;
    return i;
}

struct vary_record *vary_record_with(const struct vary_record *record, const struct key *out,
                                     const struct variant *in)
{
    struct variant *list = mem_grow(NULL, (record->variant_count + 1) * sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; i < record->variant_count; i++) {
        const struct key *key = &record->variants[i].key;
        if ((out && key_equal(key, out)) || (in && key_equal(key, &in->key)))
            continue;
        list[count++] = record->variants[i];
    }
    if (in)
        list[count++] = *in;
    struct vary_record *with =
        vary_record_new(&record->url_key, &record->names, record->is_known, list, count);
    free(list);
    return with;
}

size_t vary_record_bytes(const struct vary_record *record)
{
    enum { OVERHEAD = 160 }; /* entry, hash slot, heads of the allocations */
    size_t bytes = OVERHEAD + sizeof(*record) + record->variant_count * sizeof(struct variant);
    for (size_t i = 0; i < record->names.count; i++)
        bytes += record->names.at[i].len;
    return bytes;
}

bool vary_record_lists(const struct vary_record *record, const struct key *key)
{
    return vary_record_find(record, key) < record->variant_count;
}

/*
 * The row, in the machine's byte order:
 *
 *     0  u64  XXH3-64 of all that follows, seeded by nothing
 *     8  u32  magic "vvr1"
 *    12  u16  number of names, at most UNION_MAX_NAMES
 *    14  u16  number of variants
 *    16  i64  last change, wall milliseconds
 *    24       variants, oldest first: 16 bytes key, i64 wall milliseconds when it was stored
 *     …       names, sorted, each once: u16 length, not 0, bytes; nothing follows
 */
struct row {
    uint64_t checksum;
    uint32_t magic;
    uint16_t name_count, variant_count;
    int64_t touched;
};

_Static_assert(sizeof(struct row) == 24 && sizeof(struct variant) == 24, "the format above");
enum { ROW_MAGIC = 0x31727676 };

size_t vary_row_bytes(const struct vary_record *record)
{
    size_t bytes = sizeof(struct row) + record->variant_count * sizeof(struct variant);
    for (size_t i = 0; i < record->names.count; i++)
        bytes += sizeof(uint16_t) + record->names.at[i].len;
    return bytes;
}

static uint64_t row_checksum(slice row)
{
    return hash_of(slice_from(row, sizeof(uint64_t)));
}

void vary_row_encode(const struct vary_record *record, wall_time touched, char *row)
{
    MUST(record->variant_count <= UINT16_MAX);
    struct row head = {0, ROW_MAGIC, (uint16_t)record->names.count, (uint16_t)record->variant_count,
                       touched.ms};
    memcpy(row, &head, sizeof(head));
    size_t list = record->variant_count * sizeof(struct variant);
    if (list)
        memcpy(row + sizeof(head), record->variants, list);
    char *end = row + sizeof(head) + list;
    for (size_t i = 0; i < record->names.count; i++) {
        MUST(record->names.at[i].len <= UINT16_MAX);
        uint16_t len = (uint16_t)record->names.at[i].len;
        memcpy(end, &len, sizeof(len));
        memcpy(end + sizeof(len), record->names.at[i].ptr, len);
        end += sizeof(len) + len;
    }
    head.checksum = row_checksum(slice_of(row, vary_row_bytes(record)));
    memcpy(row, &head.checksum, sizeof(head.checksum));
}

static bool read_names(slice rest, size_t count, struct field_names *names)
{
    for (names->count = 0; names->count < count; names->count++) {
        uint16_t len;
        if (rest.len < sizeof(len))
            return false;
        memcpy(&len, rest.ptr, sizeof(len));
        rest = slice_from(rest, sizeof(len));
        if (rest.len < len)
            return false;
        slice name = slice_until(rest, len);
        if (!len || (names->count && slice_compare(names->at[names->count - 1], name) >= 0))
            return false; /* a set is looked up by its order */
        names->at[names->count] = name;
        rest = slice_from(rest, len);
    }
    return rest.len == 0;
}

struct vary_record *vary_row_decode(const struct key *url_key, slice row, wall_time *touched)
{
    struct row head;
    if (row.len < sizeof(head))
        return NULL;
    memcpy(&head, row.ptr, sizeof(head));
    if (head.magic != ROW_MAGIC || head.checksum != row_checksum(row))
        return NULL;
    size_t list = head.variant_count * sizeof(struct variant);
    if (head.name_count > UNION_MAX_NAMES || row.len - sizeof(head) < list)
        return NULL;
    struct field_names names;
    if (!read_names(slice_from(row, sizeof(head) + list), head.name_count, &names))
        return NULL;
    struct variant *variants = mem_grow(NULL, list + 1); /* the row may lie at any address */
    memcpy(variants, row.ptr + sizeof(head), list);
    struct vary_record *record =
        vary_record_new(url_key, &names, true, variants, head.variant_count);
    free(variants);
    *touched = (wall_time){head.touched};
    return record;
}

struct vary_record *vary_record_with_names(const struct vary_record *cold,
                                           const struct field_names *names)
{
    return vary_record_new(&cold->url_key, names, false, NULL, 0);
}
