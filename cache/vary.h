/*
 * Vary records as values (semantics 2.5): making, merging, and the row that the store keeps. Pure
 * but for the reference counts; any thread.
 */
#pragma once

#include "cache/cache.h"

/* `names` are copied, so are `variants`. One reference. */
struct vary_record *vary_record_new(const struct key *url_key, const struct field_names *names,
                                    bool is_known, const struct variant *variants, size_t count);
/* A URL of which nothing is known. */
struct vary_record *vary_record_cold(const struct key *url_key);
/* a ∪ b as views of both; false if that is more than UNION_MAX_NAMES. */
bool vary_names_merge(const struct field_names *a, const struct field_names *b,
                      struct field_names *merged);
/* Index of the variant, or `variant_count`. */
size_t vary_record_find(const struct vary_record *record, const struct key *key);
/* The record with one variant (or NULL) taken out and one (or NULL) put behind the others. */
struct vary_record *vary_record_with(const struct vary_record *record, const struct key *out,
                                     const struct variant *in);
size_t vary_record_bytes(const struct vary_record *record);

/* The store's row; format in vary.c. `row` holds vary_row_bytes() bytes. */
size_t vary_row_bytes(const struct vary_record *record);
void vary_row_encode(const struct vary_record *record, wall_time touched, char *row);
/* NULL if the row is damaged, whatever it holds. */
struct vary_record *vary_row_decode(const struct key *url_key, slice row, wall_time *touched);
