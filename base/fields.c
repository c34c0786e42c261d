#include "base/fields.h"

#include "base/must.h"

#include <pthread.h>

enum { HASH_SLOTS = 512 }; /* open addressing over about 70 names */

static const slice names[FIELD_ID_COUNT] = {
    [FIELD_OTHER] = {"", 0},
#define FIELD(id, name) [FIELD_##id] = {"" name, sizeof(name) - 1},
#include "base/field_names.def"
#undef FIELD
};

static uint8_t id_of_slot[HASH_SLOTS];
static pthread_once_t table_once = PTHREAD_ONCE_INIT;

static uint32_t hash_name(slice name)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < name.len; i++)
        hash = (hash ^ (uint8_t)name.ptr[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static void fill_table(void)
{
    for (unsigned id = 1; id < FIELD_ID_COUNT; id++) {
        uint32_t slot = hash_name(names[id]) % HASH_SLOTS;
        while (id_of_slot[slot])
            slot = (slot + 1) % HASH_SLOTS;
        id_of_slot[slot] = (uint8_t)id;
    }
}
_Static_assert(FIELD_ID_COUNT < 256, "ids are kept in a byte");

enum field_id field_id_of(slice lower_name)
{
    pthread_once(&table_once, fill_table);
    for (uint32_t slot = hash_name(lower_name) % HASH_SLOTS; id_of_slot[slot];
         slot = (slot + 1) % HASH_SLOTS)
        if (slice_equal(names[id_of_slot[slot]], lower_name))
            return (enum field_id)id_of_slot[slot];
    return FIELD_OTHER;
}

slice field_name_of(enum field_id id)
{
    return names[id];
}

void fields_init(struct fields *fields, struct arena *arena)
{
    *fields = (struct fields){.arena = arena};
}

static struct field *append(struct fields *fields)
{
    if (fields->count == fields->capacity) {
        size_t capacity = fields->capacity ? fields->capacity * 2 : 24;
        struct field *at = arena_array(fields->arena, struct field, capacity);
        if (fields->count)
            memcpy(at, fields->at, fields->count * sizeof(*at));
        fields->at = at;
        fields->capacity = capacity;
    }
    return &fields->at[fields->count++];
}

void fields_add(struct fields *fields, slice lower_name, slice value)
{
    *append(fields) = (struct field){field_id_of(lower_name), lower_name, value};
}

void fields_add_id(struct fields *fields, enum field_id id, slice value)
{
    MUST(id != FIELD_OTHER);
    *append(fields) = (struct field){id, names[id], value};
}

void fields_push(struct fields *fields, const struct field *field)
{
    *append(fields) = *field;
}

void fields_set(struct fields *fields, slice lower_name, slice value)
{
    fields_remove(fields, lower_name);
    fields_add(fields, lower_name, value);
}

void fields_set_id(struct fields *fields, enum field_id id, slice value)
{
    fields_remove_id(fields, id);
    fields_add_id(fields, id, value);
}

static bool is_named(const struct field *field, enum field_id id, slice lower_name)
{
    return id != FIELD_OTHER ? field->id == id : slice_equal(field->name, lower_name);
}

static void remove_named(struct fields *fields, enum field_id id, slice lower_name)
{
    size_t kept = 0;
    for (size_t i = 0; i < fields->count; i++)
        if (!is_named(&fields->at[i], id, lower_name))
            fields->at[kept++] = fields->at[i];
    fields->count = kept;
}

void fields_remove(struct fields *fields, slice lower_name)
{
    remove_named(fields, field_id_of(lower_name), lower_name);
}

void fields_remove_id(struct fields *fields, enum field_id id)
{
    MUST(id != FIELD_OTHER);
    remove_named(fields, id, SLICE_NONE);
}

void fields_copy(struct fields *into, const struct fields *from)
{
    for (size_t i = 0; i < from->count; i++) {
        const struct field *field = &from->at[i];
        slice name =
            field->id != FIELD_OTHER ? names[field->id] : arena_copy(into->arena, field->name);
        *append(into) = (struct field){field->id, name, arena_copy(into->arena, field->value)};
    }
}

static const struct field *find_named(const struct fields *fields, enum field_id id,
                                      slice lower_name)
{
    for (size_t i = 0; i < fields->count; i++)
        if (is_named(&fields->at[i], id, lower_name))
            return &fields->at[i];
    return NULL;
}

const struct field *fields_find(const struct fields *fields, slice lower_name)
{
    return find_named(fields, field_id_of(lower_name), lower_name);
}

const struct field *fields_find_id(const struct fields *fields, enum field_id id)
{
    MUST(id != FIELD_OTHER);
    return find_named(fields, id, SLICE_NONE);
}

slice fields_value(const struct fields *fields, enum field_id id)
{
    const struct field *field = fields_find_id(fields, id);
    return field ? field->value : SLICE_NONE;
}

static size_t count_named(const struct fields *fields, enum field_id id, slice lower_name)
{
    size_t count = 0;
    for (size_t i = 0; i < fields->count; i++)
        count += is_named(&fields->at[i], id, lower_name);
    return count;
}

size_t fields_count_id(const struct fields *fields, enum field_id id)
{
    MUST(id != FIELD_OTHER);
    return count_named(fields, id, SLICE_NONE);
}

/* The lines of the name of `first` among those from it to `end`, put together at once: line by line
 * it would cost the square of what a stranger sends. */
static slice join_lines(const struct field *first, const struct field *end, size_t lines,
                        struct arena *arena)
{
    slice *parts = arena_array(arena, slice, 2 * lines);
    size_t count = 0;
    for (const struct field *f = first; f < end; f++) {
        if (!is_named(f, first->id, first->name))
            continue;
        if (count)
            parts[count++] = SLICE(", ");
        parts[count++] = slice_trim(f->value);
    }
    return arena_concat(arena, parts, count);
}

static bool join_named(const struct fields *fields, enum field_id id, slice lower_name,
                       struct arena *arena, slice *value)
{
    size_t lines = count_named(fields, id, lower_name);
    if (lines == 0)
        return false;
    const struct field *first = find_named(fields, id, lower_name);
    *value = lines == 1 ? slice_trim(first->value)
                        : join_lines(first, fields->at + fields->count, lines, arena);
    return true;
}

bool fields_join(const struct fields *fields, slice lower_name, struct arena *arena, slice *value)
{
    return join_named(fields, field_id_of(lower_name), lower_name, arena, value);
}

bool fields_join_id(const struct fields *fields, enum field_id id, struct arena *arena,
                    slice *value)
{
    MUST(id != FIELD_OTHER);
    return join_named(fields, id, SLICE_NONE, arena, value);
}

bool fields_is_first(const struct fields *fields, const struct field *field)
{
    return find_named(fields, field->id, field->name) == field;
}

bool fields_has_member(const struct fields *fields, enum field_id id, slice member)
{
    for (size_t i = 0; i < fields->count; i++) {
        slice rest = fields->at[i].value, one;
        while (fields->at[i].id == id && slice_next_member(&rest, &one))
            if (slice_equal_nocase(one, member))
                return true;
    }
    return false;
}
