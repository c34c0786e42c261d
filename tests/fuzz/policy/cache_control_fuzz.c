/*
 * Cache-Control of origins and clients, targeted fields (Structured Fields) and delta-seconds:
 * whatever stands in them, the reading never becomes less careful by a member more, limits are
 * lists of field names, and a targeted field with any error says nothing.
 *
 *   input = a field value, newline, another one
 */
#include "policy/cache_control.h"
#include "policy/client_wish.h"
#include "policy/structured.h"

#include "tests/fuzz/input.h"

static bool is_valid_time(duration d)
{
    return !duration_is_given(d) || d.ms >= 0;
}

static void check_fields(slice names, slice text)
{
    slice name;
    MUST(lies_within(names, text));
    while (slice_next_member(&names, &name))
        for (size_t i = 0; i < name.len; i++)
            MUST(name.ptr[i] > ' ' && name.ptr[i] != '"' && name.ptr[i] != 0x7f);
}

static void check_directives(const struct directives *d, slice text)
{
    MUST(is_valid_time(d->s_maxage) && is_valid_time(d->max_age));
    MUST(is_valid_time(d->stale_while_revalidate) && is_valid_time(d->stale_if_error));
    check_fields(d->no_cache_fields, text);
    check_fields(d->private_fields, text);
}

static bool is_limited(bool flag, slice fields)
{
    return flag || fields.len;
}

/* Is `more` at least as strict as `less`, the beginning of the same field? */
static void check_monotonous(const struct directives *less, const struct directives *more)
{
    MUST(more->no_store >= less->no_store && more->no_transform >= less->no_transform);
    MUST(more->must_revalidate >= less->must_revalidate);
    MUST(is_limited(more->is_private, more->private_fields) >=
         is_limited(less->is_private, less->private_fields));
    MUST(is_limited(more->no_cache, more->no_cache_fields) >=
         is_limited(less->no_cache, less->no_cache_fields));
    MUST(!duration_is_given(less->max_age) || more->max_age.ms == less->max_age.ms);
    MUST(!duration_is_given(less->s_maxage) || more->s_maxage.ms == less->s_maxage.ms);
}

static bool has_byte(slice text, char c)
{
    return slice_find(text, c, 0) < text.len;
}

static void check_cache_control(struct arena *arena, slice a, slice b)
{
    struct directives one, both, stored;
    slice joined = arena_concat(arena, (slice[]){a, SLICE(","), b}, 3);
    slice forbidden = arena_concat(arena, (slice[]){a, SLICE(", no-store , private")}, 2);
    cache_control_parse(a, &one);
    cache_control_parse(joined, &both);
    cache_control_parse(forbidden, &stored);
    check_directives(&one, a);
    check_directives(&both, joined);
    if (has_byte(a, '"'))
        return; /* a quoted-string may reach over the comma */
    check_monotonous(&one, &both);
    MUST(stored.no_store && stored.is_private);
}

struct visits {
    slice text;
    size_t count;
};

static void check_member(void *arg, const struct sf_member *member)
{
    struct visits *visits = arg;
    visits->count++;
    MUST(member->key.len && lies_within(member->key, visits->text));
    MUST(lies_within(member->text, visits->text));
    for (size_t i = 0; i < member->key.len; i++)
        MUST(ascii_lower(member->key.ptr[i]) == member->key.ptr[i]);
    if (member->type == SF_INTEGER || member->type == SF_DATE)
        MUST(member->integer > -1000000000000000 && member->integer < 1000000000000000);
    if (member->type == SF_STRING)
        for (size_t i = 0; i < member->text.len; i++)
            MUST(member->text.ptr[i] >= 0x20 && member->text.ptr[i] < 0x7f);
}

/* RFC 9651 §4.2: joined by a comma, two dictionaries are one, and one error voids both. */
static void check_dictionaries(struct arena *arena, slice a, slice b)
{
    slice joined = arena_concat(arena, (slice[]){a, SLICE(", "), b}, 3);
    struct visits of_a = {a, 0}, of_b = {b, 0}, of_both = {joined, 0};
    bool a_is_valid = sf_dictionary_each(a, check_member, &of_a) && of_a.count;
    bool b_is_valid = sf_dictionary_each(b, check_member, &of_b) && of_b.count;
    bool both_are_valid = sf_dictionary_each(joined, check_member, &of_both);
    if (a_is_valid) {
        MUST(!b_is_valid || both_are_valid);
        MUST(!both_are_valid || of_both.count > of_a.count);
        for (size_t i = 0; i < a.len; i++)
            MUST((unsigned char)a.ptr[i] < 0x7f && (a.ptr[i] >= ' ' || a.ptr[i] == '\t'));
    }
}

static void check_says_nothing(const struct directives *d)
{
    MUST(!d->no_store && !d->no_cache && !d->is_private && !d->is_public && !d->no_transform);
    MUST(!d->must_revalidate && !d->proxy_revalidate && !d->must_understand);
    MUST(!duration_is_given(d->max_age) && !duration_is_given(d->s_maxage));
    MUST(!duration_is_given(d->stale_while_revalidate) && !duration_is_given(d->stale_if_error));
    MUST(d->no_cache_fields.len == 0 && d->private_fields.len == 0);
}

static void check_targeted(slice text)
{
    struct directives d;
    bool is_read = targeted_parse(text, &d);
    MUST(d.is_targeted == is_read);
    check_directives(&d, text);
    if (!is_read)
        check_says_nothing(&d);
}

static void check_delta_seconds(slice text)
{
    duration d;
    bool is_number = text.len > 0;
    for (size_t i = 0; i < text.len; i++)
        is_number &= text.ptr[i] >= '0' && text.ptr[i] <= '9';
    MUST(delta_seconds_parse(text, &d) == is_number);
    MUST(!is_number || d.ms >= 0);
}

static void check_wish(struct arena *arena, slice text)
{
    static const struct route honours = {.honours_client = true}, ignores = {.is_cacheable = true};
    struct client_wish wish, none;
    struct request request = {.arena = arena};
    fields_init(&request.fields, arena);
    fields_add_id(&request.fields, FIELD_CACHE_CONTROL, text);
    client_wish_of(&request, &honours, &wish);
    client_wish_of(&request, &ignores, &none);
    MUST(is_valid_time(wish.max_age) && is_valid_time(wish.min_fresh));
    MUST(client_wish_admits(&none, DURATION_MAX, (duration){-1}) && !none.no_store);
    MUST(!wish.no_cache || !client_wish_admits(&wish, (duration){0}, DURATION_MAX));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096), a = take_line(&input);
    struct arena arena;
    arena_init(&arena);
    check_cache_control(&arena, a, input);
    check_dictionaries(&arena, a, input);
    check_targeted(a);
    check_delta_seconds(a);
    check_wish(&arena, a);
    arena_fini(&arena);
    return 0;
}
