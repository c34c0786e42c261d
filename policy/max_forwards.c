#include "policy/max_forwards.h"

static bool read_value(const struct request *request, uint64_t *value)
{
    bool has_one = request->method == METHOD_OPTIONS || request->method == METHOD_TRACE;
    return has_one && fields_count_id(&request->fields, FIELD_MAX_FORWARDS) == 1 &&
           slice_to_u64(slice_trim(fields_value(&request->fields, FIELD_MAX_FORWARDS)), value);
}

bool max_forwards_ends_here(const struct request *request)
{
    uint64_t value;
    return read_value(request, &value) && value == 0;
}

struct field max_forwards_next(const struct request *request, const struct field *field)
{
    struct field next = *field;
    uint64_t value;
    if (field->id == FIELD_MAX_FORWARDS && read_value(request, &value) && value > 0)
        next.value = arena_printf(request->arena, "%llu", (unsigned long long)value - 1);
    return next;
}
