/*
 * Header fields of one message (RFC 9110 §5): an ordered list of lines. Names are lower case; the
 * well-known ones carry an id, so that the hot path compares numbers. A list belongs to one owner
 * and grows in the arena that it was made with; names and values are views that must live as long
 * as the list.
 */
#pragma once

#include "base/arena.h"
#include "base/slice.h"

enum field_id {
    FIELD_OTHER, /* any name without a row in field_names.def */
#define FIELD(id, name) FIELD_##id,
#include "base/field_names.def"
#undef FIELD
    FIELD_ID_COUNT
};

struct field {
    enum field_id id;
    slice name; /* lower case */
    slice value;
};

struct fields {
    struct arena *arena;
    struct field *at;
    size_t count, capacity;
};

/* The id of a lower-case name; FIELD_OTHER if it has none. Any thread, no set-up needed. */
enum field_id field_id_of(slice lower_name);
slice field_name_of(enum field_id id); /* empty for FIELD_OTHER */

void fields_init(struct fields *fields, struct arena *arena);
/* `lower_name` and `value` are kept as views. */
void fields_add(struct fields *fields, slice lower_name, slice value);
void fields_add_id(struct fields *fields, enum field_id id, slice value);
/* One line of another list, as a view. */
void fields_push(struct fields *fields, const struct field *field);
/* Replaces all lines of the name by one. */
void fields_set(struct fields *fields, slice lower_name, slice value);
void fields_set_id(struct fields *fields, enum field_id id, slice value);
void fields_remove(struct fields *fields, slice lower_name);
void fields_remove_id(struct fields *fields, enum field_id id);
/* Copies every line, bytes too, into `into`'s arena. */
void fields_copy(struct fields *into, const struct fields *from);

/* First line of the name or NULL. */
const struct field *fields_find(const struct fields *fields, slice lower_name);
const struct field *fields_find_id(const struct fields *fields, enum field_id id);
/* Value of the first line; empty if there is none. */
slice fields_value(const struct fields *fields, enum field_id id);
size_t fields_count_id(const struct fields *fields, enum field_id id);
/*
 * All lines of the name joined with ", " in order (RFC 9110 §5.3), each trimmed. One line: a view
 * of it, else a copy in `arena`. False if there is no line.
 */
bool fields_join(const struct fields *fields, slice lower_name, struct arena *arena, slice *value);
bool fields_join_id(const struct fields *fields, enum field_id id, struct arena *arena,
                    slice *value);
/* Is this line of `fields` the first of its name? Who reads a field as a whole reads it there,
 * once. */
bool fields_is_first(const struct fields *fields, const struct field *field);
/* Is `member` one of the comma-separated members of any line of this field? Case-insensitive. */
bool fields_has_member(const struct fields *fields, enum field_id id, slice member);
