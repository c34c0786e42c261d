/*
 * Rows of the store, as LMDB gives them back: a Vary record and an index row with its object's
 * head. The checksum is made right, so that the fuzzer gets behind it. What is read writes to the
 * same bytes, and holds what the rest of the program relies on.
 *
 *   input = kind (1 byte: 1 vary row, 2 index row; 4: the checksum is left alone) row
 */
#include "cache/store_env.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>

enum { VARY_ROW = 1, KEEPS_CHECKSUM = 4 };

static const struct key url_key = {{1, 2, 3}};

static void check_names(const struct field_names *names)
{
    MUST(names->count <= UNION_MAX_NAMES);
    for (size_t i = 0; i < names->count; i++) {
        MUST(names->at[i].len > 0 && field_names_contain(names, names->at[i]));
        MUST(i == 0 || slice_compare(names->at[i - 1], names->at[i]) < 0);
    }
}

static void check_vary_row(slice row)
{
    wall_time touched;
    struct vary_record *record = vary_row_decode(&url_key, row, &touched);
    if (!record)
        return;
    check_names(&record->names);
    MUST(record->is_known && key_equal(&record->url_key, &url_key));
    MUST(vary_row_bytes(record) == row.len);
    char *again = malloc(row.len);
    MUST(again);
    vary_row_encode(record, touched, again);
    MUST(memcmp(again, row.ptr, row.len) == 0);
    free(again);
    struct vary_record *with =
        vary_record_with(record, NULL, &(struct variant){url_key, {touched.ms}});
    MUST(vary_record_lists(with, &url_key) && with->variant_count <= record->variant_count + 1);
    vary_record_unref(&with);
    vary_record_unref(&record);
}

static void check_index_row(slice row)
{
    struct index_row prefix;
    slice head;
    if (!index_row_read(row, &prefix, &head))
        return;
    MUST(prefix.magic == INDEX_MAGIC && head.len == row.len - sizeof(prefix));
    MUST(lies_within(head, row));
    struct object *object = object_decode(head);
    if (!object)
        return;
    MUST(object->tag_count <= TAGS_MAX && object->field_count <= STORED_FIELDS_MAX);
    MUST(object->coding < CODING_COUNT);
    MUST(slice_equal(slice_of(object->head->bytes, object->head->len), head));
    object_unref(&object);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 1 << 16 ? size : 1 << 16);
    unsigned kind = take_byte(&input);
    char *bytes = malloc(input.len + 1);
    MUST(bytes);
    memcpy(bytes, input.ptr ? input.ptr : "", input.len);
    slice row = slice_of(bytes, input.len);
    if (row.len > sizeof(uint64_t) && !(kind & KEEPS_CHECKSUM)) {
        uint64_t checksum = index_row_checksum(row); /* of either kind: of all behind itself */
        memcpy(bytes, &checksum, sizeof(checksum));
    }
    if (kind & VARY_ROW)
        check_vary_row(row);
    else
        check_index_row(row);
    free(bytes);
    return 0;
}
