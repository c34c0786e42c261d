/*
 * What clients choose by: Accept-Language, Accept, Accept-Encoding, Cookie, each as one line
 * (semantics 1.4, 2.4, 2.6, 4.7). Checks that what is sent is one of the few values it may be.
 */
#include "base/must.h"
#include "policy/head.h"
#include "policy/normalise.h"
#include "policy/representation.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static slice choices[] = {{"en", 2}, {"fr-CA", 5}, {"de", 2}, {"zh-Hant", 7}};
static const struct slices choice_list = {choices, 4};

static void check_choice(slice value)
{
    slice choice = language_choose(value, &choice_list, SLICE("en"));
    bool is_one = false;
    for (size_t i = 0; i < choice_list.count; i++)
        is_one |= slice_equal(choice, choices[i]);
    MUST(is_one);
    MUST(slice_equal(choice, language_choose(choice, &choice_list, SLICE("none"))));
}

/* One spelling: making it again changes nothing. */
static void check_normal_forms(struct arena *arena, slice value)
{
    slice once = vary_canonical(SLICE("x-list"), value, arena);
    MUST(slice_equal(once, vary_canonical(SLICE("x-list"), once, arena)));
    struct vary_config sort = {.field = SLICE("x-list"), .kind = VARY_SORT};
    struct fields fields;
    slice sorted, again;
    fields_init(&fields, arena);
    fields_add(&fields, SLICE("x-list"), value);
    MUST(vary_value(&sort, &fields, arena, &sorted));
    fields_set(&fields, SLICE("x-list"), sorted);
    MUST(vary_value(&sort, &fields, arena, &again));
    MUST(slice_find(value, '"', 0) < value.len || slice_equal(sorted, again));
}

static void check_request(struct arena *arena, slice value)
{
    struct policy policy = {.route_count = 0};
    struct route route = {.index = 0};
    struct request request = {.arena = arena};
    struct cookies cookies;
    slice accept;
    fields_init(&request.fields, arena);
    fields_add_id(&request.fields, FIELD_ACCEPT, value);
    fields_add_id(&request.fields, FIELD_ACCEPT_ENCODING, value);
    fields_add_id(&request.fields, FIELD_COOKIE, value);
    MUST(representation_value(&request.fields, SLICE("accept"), arena, &accept));
    slice codings = head_reduce_codings(&request);
    MUST(codings.len && slice_search(codings, SLICE("deflate")) == codings.len);
    cookies_parse(&policy, &route, &request, &cookies);
    MUST(cookies.count <= COOKIES_MAX);
    for (size_t i = 0; i < cookies.count; i++)
        MUST(cookies.at[i].text.len &&
             slice_find(cookies.at[i].text, ';', 0) == cookies.at[i].text.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    arena_init(&arena);
    slice value = slice_trim(slice_of((const char *)data, size < 4096 ? size : 4096));
    check_choice(value);
    check_normal_forms(&arena, value);
    check_request(&arena, value);
    arena_fini(&arena);
    return 0;
}
