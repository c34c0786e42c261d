/* Durations and sizes as people write them. Whole numbers only, so that a value prints as it was
 * read. */
#include "policy/units.h"

#include <stdio.h>

struct unit {
    slice name;
    uint64_t factor;
};

/* largest first: the order in which a printed value tries them */
static const struct unit times[] = {
    {{"d", 1}, 86400000}, {{"h", 1}, 3600000}, {{"m", 1}, 60000}, {{"s", 1}, 1000}, {{"ms", 2}, 1},
};
static const struct unit sizes[] = {
    {{"TiB", 3}, 1ull << 40},
    {{"GiB", 3}, 1ull << 30},
    {{"MiB", 3}, 1ull << 20},
    {{"KiB", 3}, 1ull << 10},
    {{"B", 1}, 1},
};

enum { UNITS = 5 };

static bool parse_units(slice text, const struct unit *units, uint64_t *value)
{
    size_t digits = 0;
    while (digits < text.len && text.ptr[digits] >= '0' && text.ptr[digits] <= '9')
        digits++;
    uint64_t number;
    if (!slice_to_u64(slice_until(text, digits), &number))
        return false;
    slice name = slice_from(text, digits);
    if (name.len == 0 && number == 0) {
        *value = 0;
        return true;
    }
    for (size_t i = 0; i < UNITS; i++)
        if (slice_equal(name, units[i].name))
            return !__builtin_mul_overflow(number, units[i].factor, value) &&
                   *value <= (uint64_t)INT64_MAX;
    return false;
}

static slice format_units(uint64_t value, const struct unit *units, const char *zero,
                          char text[UNIT_TEXT_BYTES])
{
    if (value == 0)
        return slice_of_string(zero);
    size_t i = 0;
    while (value % units[i].factor != 0)
        i++;
    int length = snprintf(text, UNIT_TEXT_BYTES, "%llu%s",
                          (unsigned long long)(value / units[i].factor), units[i].name.ptr);
    return slice_of(text, (size_t)length);
}

bool units_parse_duration(slice text, duration *value)
{
    uint64_t ms;
    if (!parse_units(text, times, &ms))
        return false;
    value->ms = (int64_t)ms;
    return true;
}

bool units_parse_size(slice text, uint64_t *bytes)
{
    uint64_t value;
    if (!parse_units(text, sizes, &value))
        return false;
    *bytes = value;
    return true;
}

slice units_format_duration(duration value, char text[UNIT_TEXT_BYTES])
{
    return format_units(value.ms > 0 ? (uint64_t)value.ms : 0, times, "0s", text);
}

slice units_format_size(uint64_t bytes, char text[UNIT_TEXT_BYTES])
{
    return format_units(bytes, sizes, "0B", text);
}
