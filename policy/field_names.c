/* Sets of field names: small enough that a sorted array beats everything else. */
#include "policy/rules.h"

/* Where `name` is, or belongs. */
static size_t position_of(const struct field_names *names, slice name)
{
    size_t at = 0;
    while (at < names->count && slice_compare(names->at[at], name) < 0)
        at++;
    return at;
}

bool field_names_contain(const struct field_names *names, slice name)
{
    size_t at = position_of(names, name);
    return at < names->count && slice_equal(names->at[at], name);
}

bool field_names_add(struct field_names *names, slice name)
{
    size_t at = position_of(names, name);
    if (at < names->count && slice_equal(names->at[at], name))
        return true;
    if (names->count == UNION_MAX_NAMES)
        return false;
    memmove(&names->at[at + 1], &names->at[at], (names->count - at) * sizeof(*names->at));
    names->at[at] = name;
    names->count++;
    return true;
}

bool field_names_equal(const struct field_names *a, const struct field_names *b)
{
    if (a->count != b->count)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (!slice_equal(a->at[i], b->at[i]))
            return false;
    return true;
}
