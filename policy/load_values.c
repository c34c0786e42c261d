/* The types of setting that many rows share: numbers, sizes, durations, words. */
#include "policy/loader.h"

#include "base/must.h"

void *setting_member(const struct setting *s, void *base)
{
    return (char *)base + s->offset;
}

const void *setting_member_view(const struct setting *s, const void *base)
{
    return (const char *)base + s->offset;
}

bool scalar_is(const struct yaml_node *node, const char *word)
{
    return node->kind == YAML_SCALAR && slice_equal(node->text, slice_of_string(word));
}

/* --- numbers --- */

static void store_number(const struct setting *s, void *base, uint64_t value)
{
    void *member = setting_member(s, base);
    uint8_t u8 = (uint8_t)value;
    uint32_t u32 = (uint32_t)value;
    MUST(s->bytes == 1 || s->bytes == 4 || s->bytes == 8);
    memcpy(member,
           s->bytes == 1   ? (void *)&u8
           : s->bytes == 4 ? (void *)&u32
                           : (void *)&value,
           s->bytes);
}

static uint64_t load_number(const struct setting *s, const void *base)
{
    const void *member = setting_member_view(s, base);
    uint8_t u8;
    uint32_t u32;
    uint64_t u64;
    memcpy(s->bytes == 1   ? (void *)&u8
           : s->bytes == 4 ? (void *)&u32
                           : (void *)&u64,
           member, s->bytes);
    return s->bytes == 1 ? u8 : s->bytes == 4 ? u32 : u64;
}

static void parse_boolean(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    if (scalar_is(node, "true") || scalar_is(node, "false"))
        *(bool *)setting_member(s, base) = scalar_is(node, "true");
    else
        fail_word(l, s, node, "true|false");
}

static bool print_boolean(struct writer *w, const struct setting *s, const void *base)
{
    write_format(w, "%s", *(const bool *)setting_member_view(s, base) ? "true" : "false");
    return true;
}

static void parse_count(struct loader *l, const struct setting *s, const struct yaml_node *node,
                        void *base)
{
    uint64_t value;
    if (node->kind == YAML_SCALAR && slice_to_u64(node->text, &value) && value >= s->min &&
        value <= s->max) {
        store_number(s, base, value);
        return;
    }
    slice expected = arena_printf(&l->scratch, "a whole number from %llu to %llu",
                                  (unsigned long long)s->min, (unsigned long long)s->max);
    fail_expected(l, s, node, expected.ptr);
}

static bool print_count(struct writer *w, const struct setting *s, const void *base)
{
    write_format(w, "%llu", (unsigned long long)load_number(s, base));
    return true;
}

static void parse_percent(struct loader *l, const struct setting *s, const struct yaml_node *node,
                          void *base)
{
    slice number = slice_until(node->text, node->text.len ? node->text.len - 1 : 0);
    uint64_t value;
    if (node->kind == YAML_SCALAR && slice_ends_with(node->text, SLICE("%")) &&
        slice_to_u64(number, &value) && value >= s->min && value <= s->max) {
        store_number(s, base, value);
        return;
    }
    slice expected = arena_printf(&l->scratch, "a percentage from %llu%% to %llu%%",
                                  (unsigned long long)s->min, (unsigned long long)s->max);
    fail_expected(l, s, node, expected.ptr);
}

static bool print_percent(struct writer *w, const struct setting *s, const void *base)
{
    write_format(w, "%llu%%", (unsigned long long)load_number(s, base));
    return true;
}

static void fail_size(struct loader *l, const struct setting *s, const struct yaml_node *node)
{
    char min[UNIT_TEXT_BYTES], max[UNIT_TEXT_BYTES];
    slice from = units_format_size(s->min, min);
    slice to = s->max ? units_format_size(s->max, max) : SLICE_NONE;
    slice expected = arena_printf(
        &l->scratch, "a size such as 64KiB or 8GiB (at least %" SLICE_FMT "%s%" SLICE_FMT ")",
        SLICE_ARG(from), to.ptr ? ", at most " : "", SLICE_ARG(to));
    fail_expected(l, s, node, expected.ptr);
}

static void parse_size(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    uint64_t value;
    if (node->kind == YAML_SCALAR && units_parse_size(node->text, &value) && value >= s->min &&
        (s->max == 0 || value <= s->max))
        store_number(s, base, value);
    else
        fail_size(l, s, node);
}

static bool print_size(struct writer *w, const struct setting *s, const void *base)
{
    char text[UNIT_TEXT_BYTES];
    slice size = units_format_size(load_number(s, base), text);
    write_format(w, "%" SLICE_FMT, SLICE_ARG(size));
    return true;
}

bool parse_duration(struct loader *l, const struct setting *s, const struct yaml_node *node,
                    duration *value)
{
    duration d;
    if (node->kind == YAML_SCALAR && units_parse_duration(node->text, &d) &&
        d.ms >= (int64_t)s->min) {
        *value = d;
        return true;
    }
    char min[UNIT_TEXT_BYTES];
    slice from = units_format_duration((duration){(int64_t)s->min}, min);
    slice limit = s->min ? arena_printf(&l->scratch, " (at least %" SLICE_FMT ")", SLICE_ARG(from))
                         : SLICE_NONE;
    slice expected =
        arena_printf(&l->scratch, "a duration such as 30s, 5m or 1h%s%s%" SLICE_FMT,
                     s->words ? ", or " : "", s->words ? s->words : "", SLICE_ARG(limit));
    fail_expected(l, s, node, expected.ptr);
    return false;
}

/* `words` is the one word that stands for DURATION_NONE in this row. */
static void parse_time(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    if (s->words && scalar_is(node, s->words))
        *(duration *)setting_member(s, base) = DURATION_NONE;
    else
        parse_duration(l, s, node, setting_member(s, base));
}

static bool print_time(struct writer *w, const struct setting *s, const void *base)
{
    char text[UNIT_TEXT_BYTES];
    duration value = *(const duration *)setting_member_view(s, base);
    if (!duration_is_given(value))
        write_format(w, "%s", s->words);
    else
        write_format(w, "%" SLICE_FMT, SLICE_ARG(units_format_duration(value, text)));
    return true;
}

/* --- words --- */

bool word_index(const char *words, slice text, unsigned *index)
{
    slice rest = slice_of_string(words), word;
    for (unsigned i = 0; slice_next(&rest, '|', &word); i++) {
        if (slice_equal(word, text)) {
            *index = i;
            return true;
        }
    }
    return false;
}

slice word_at(const char *words, unsigned index)
{
    slice rest = slice_of_string(words), word = SLICE_NONE;
    for (unsigned i = 0; i <= index; i++)
        MUST(slice_next(&rest, '|', &word));
    return word;
}

static void parse_word(struct loader *l, const struct setting *s, const struct yaml_node *node,
                       void *base)
{
    unsigned index;
    if (node->kind == YAML_SCALAR && word_index(s->words, node->text, &index))
        store_number(s, base, index);
    else
        fail_word(l, s, node, s->words);
}

static bool print_word(struct writer *w, const struct setting *s, const void *base)
{
    slice word = word_at(s->words, (unsigned)load_number(s, base));
    write_format(w, "%" SLICE_FMT, SLICE_ARG(word));
    return true;
}

const struct setting_type setting_boolean = {
    .name = "true or false", .parse = parse_boolean, .print = print_boolean};
const struct setting_type setting_count = {
    .name = "number", .parse = parse_count, .print = print_count};
const struct setting_type setting_percent = {
    .name = "percentage", .parse = parse_percent, .print = print_percent};
const struct setting_type setting_size = {.name = "size", .parse = parse_size, .print = print_size};
const struct setting_type setting_time = {
    .name = "duration", .parse = parse_time, .print = print_time};
const struct setting_type setting_word = {.name = "word", .parse = parse_word, .print = print_word};
