/*
 * Any Vary: the names that come out are a bounded, sorted, lower-case set which lacks nothing that
 * the field named, and clients are told of all of them. Lines of the input are lines of the field.
 */
#include "base/must.h"
#include "policy/vary.h"

static struct vary_config configs[] = {
    {.field = {"user-agent", 10}, .kind = VARY_MAP, .as = {"x-device", 8}},
    {.field = {"accept-language", 15}, .kind = VARY_CHOOSE, .always = VARY_ALWAYS},
};

static bool is_raw_or_twin(slice named, slice member)
{
    if (slice_equal_nocase(named, member))
        return true;
    return slice_equal_nocase(member, configs[0].as) && slice_equal_nocase(named, configs[0].field);
}

static bool client_is_told(slice client, slice member)
{
    slice one;
    while (slice_next_member(&client, &one))
        if (slice_equal(one, SLICE("*")) || is_raw_or_twin(one, member))
            return true; /* "*" tells more than enough */
    return false;
}

static void check_set(const struct field_names *names)
{
    MUST(names->count <= UNION_MAX_NAMES);
    for (size_t i = 0; i < names->count; i++) {
        slice name = names->at[i];
        MUST(name.len > 0 && !slice_equal(name, SLICE("accept-encoding")));
        MUST(i == 0 || slice_compare(names->at[i - 1], name) < 0);
        for (size_t j = 0; j < name.len; j++)
            MUST(ascii_lower(name.ptr[j]) == name.ptr[j] && name.ptr[j] != ',');
    }
}

static void check_members(const struct vary_read *vary, const struct fields *fields, slice client,
                          struct arena *arena)
{
    MUST(field_names_contain(&vary->names, configs[0].field) ==
         field_names_contain(&vary->names, configs[0].as));
    for (size_t i = 0; i < fields->count; i++) {
        slice rest = fields->at[i].value, member;
        while (slice_next(&rest, ',', &member)) {
            member = slice_trim(member);
            if (member.len == 0)
                continue;
            MUST(slice_equal_nocase(member, SLICE("accept-encoding")) ||
                 field_names_contain(&vary->names, arena_copy_lower(arena, member)));
            MUST(client_is_told(client, member));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    struct policy policy = {.vary = configs, .vary_count = 2};
    struct facts facts = {.flags = FACT_SEALED};
    struct arena arena;
    struct fields fields;
    struct vary_read vary;
    slice rest = slice_of((const char *)data, size), line;
    arena_init(&arena);
    fields_init(&fields, &arena);
    while (size && fields.count < 100 && slice_next(&rest, '\n', &line))
        fields_add_id(&fields, FIELD_VARY, line);
    vary_of_response(&policy, &fields, &arena, &vary);
    check_set(&vary.names);
    slice client = client_vary(&policy, &facts, &fields, &arena);
    if (!vary.has_star && !vary.overflows)
        check_members(&vary, &fields, client, &arena);
    arena_fini(&arena);
    return 0;
}
