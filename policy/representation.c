/* Which framework fields are sent, in one spelling each: the rows are representation.def's. */
#include "policy/representation.h"

#include "policy/normalise.h"
#include "policy/weighted.h"

enum rule { RULE_NONE, RULE_AS_SENT, RULE_PREFIX, RULE_ONLY_XHR, RULE_ACCEPT };

static const struct row {
    slice name;
    enum rule rule;
} rows[] = {
#define REPRESENTATION(name, rule) {{"" name, sizeof(name) - 1}, RULE_##rule},
#include "policy/representation.def"
#undef REPRESENTATION
};

static const struct reduction {
    slice type, sent;
} reductions[] = {
#define ACCEPT_REDUCED(type, sent) {{"" type, sizeof(type) - 1}, {"" sent, sizeof(sent) - 1}},
#include "policy/representation.def"
#undef ACCEPT_REDUCED
};

#define REPRESENTATION(name, rule) _Static_assert(sizeof(name) > 3, "a row needs three bytes");
#include "policy/representation.def"
#undef REPRESENTATION

/* Bit set of first letters: most names are told apart by theirs. Folded to a constant. */
static inline uint32_t first_letters(void)
{
    return 0
#define REPRESENTATION(name, rule) | 1u << ((name)[0] - 'a')
#include "policy/representation.def"
#undef REPRESENTATION
        ;
}

static bool may_be_listed(slice name)
{
    return name.len >= 3 && name.ptr[0] >= 'a' && name.ptr[0] <= 'z' &&
           (first_letters() >> (name.ptr[0] - 'a') & 1);
}

static enum rule rule_of(slice name)
{
    if (!may_be_listed(name))
        return RULE_NONE;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (name.ptr[0] != rows[i].name.ptr[0] || name.ptr[2] != rows[i].name.ptr[2])
            continue; /* nearly all of them, on each request */
        bool is_it = rows[i].rule == RULE_PREFIX ? slice_starts_with(name, rows[i].name)
                                                 : slice_equal(name, rows[i].name);
        if (is_it)
            return rows[i].rule;
    }
    return RULE_NONE;
}

bool representation_is_field(slice name)
{
    return rule_of(name) != RULE_NONE;
}

/* The first member of highest weight; members of weight 0 are what the client does not want. */
static slice best_type(slice accept)
{
    slice type, best = SLICE_NONE;
    unsigned weight, best_weight = 0;
    while (weighted_next(&accept, &type, &weight)) {
        if (weight > best_weight) {
            best = type;
            best_weight = weight;
        }
    }
    return best;
}

static slice reduce_accept(slice accept)
{
    slice best = best_type(accept);
    for (size_t i = 0; i < sizeof(reductions) / sizeof(reductions[0]); i++)
        if (slice_equal_nocase(best, reductions[i].type))
            return reductions[i].sent;
    return accept;
}

static bool is_xhr(slice value)
{
    return slice_equal_nocase(value, SLICE("XMLHttpRequest"));
}

bool representation_value(const struct fields *fields, slice name, struct arena *arena,
                          slice *value)
{
    enum rule rule = rule_of(name);
    slice joined;
    if (rule == RULE_NONE || !fields_join(fields, name, arena, &joined))
        return false;
    if (rule == RULE_ONLY_XHR && !is_xhr(joined))
        return false;
    if (rule == RULE_ONLY_XHR)
        *value = SLICE("XMLHttpRequest");
    else if (rule == RULE_ACCEPT)
        *value = reduce_accept(vary_canonical(name, joined, arena));
    else
        *value = joined;
    return true;
}

bool representation_is_asked(const struct request *request)
{
    slice value;
    for (size_t i = 0; i < request->fields.count; i++) {
        const struct field *field = &request->fields.at[i];
        enum rule rule = rule_of(field->name);
        if (rule != RULE_NONE && rule != RULE_ACCEPT && fields_is_first(&request->fields, field) &&
            representation_value(&request->fields, field->name, request->arena, &value))
            return true;
    }
    return false;
}
