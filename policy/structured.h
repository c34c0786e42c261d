/*
 * Structured Fields, as far as varve reads them: Dictionaries (RFC 9651 §4.2.2), for targeted
 * cache-control fields, and Lists (§4.2.1), for cache groups and Cache-Status. The whole syntax is
 * checked, because one error anywhere voids the field. Pure, any thread.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum sf_type {
    SF_BOOLEAN,
    SF_INTEGER,
    SF_DECIMAL, /* value not kept */
    SF_STRING,
    SF_TOKEN,
    SF_BYTES,
    SF_DATE, /* value in `integer`: seconds */
    SF_DISPLAY_STRING,
    SF_INNER_LIST, /* members not kept */
};

struct sf_member {
    slice key; /* of a dictionary */
    enum sf_type type;
    bool boolean;
    int64_t integer;
    slice text; /* SF_STRING without its quotes, escapes left in; SF_TOKEN */
};

/*
 * Calls `visit` for each member in order; parameters are checked and skipped. A key may come twice:
 * then the last one counts. False on any error: what was visited until then must be forgotten. An
 * empty dictionary is valid.
 */
bool sf_dictionary_each(slice text, void (*visit)(void *arg, const struct sf_member *member),
                        void *arg);
/* The same for a List; an empty one is valid. */
bool sf_list_each(slice text, void (*visit)(void *arg, const struct sf_member *member), void *arg);
/* The text of an SF_STRING without its escapes: a view where it has none, else in `arena`. */
slice sf_string_value(slice text, struct arena *arena);
