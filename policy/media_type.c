/* Media types: which ones a list of the policy names, which ones a browser shows as a page. */
#include "policy/media_type.h"

slice media_type_of(slice content_type)
{
    return slice_trim(slice_until(content_type, slice_find(content_type, ';', 0)));
}

bool media_type_is_event_stream(slice content_type)
{
    return slice_equal_nocase(media_type_of(content_type), SLICE("text/event-stream"));
}

static bool type_matches(slice type, slice pattern)
{
    if (slice_equal(pattern, SLICE("*/*")))
        return true;
    if (slice_ends_with(pattern, SLICE("/*")))
        return slice_starts_with_nocase(type, slice_until(pattern, pattern.len - 1));
    return slice_equal_nocase(type, pattern);
}

bool media_type_is_in(slice content_type, struct slices types)
{
    slice type = media_type_of(content_type);
    for (size_t i = 0; type.len && i < types.count; i++)
        if (type_matches(type, types.at[i]))
            return true;
    return false;
}

/*
 * What a person wants to see when opening a URL. A list of the good ones: a type that is missing
 * here costs one more render, a data format that slipped in would show people JSON. Markdown is not
 * among them: renderers give it to machines in place of the page, by User-Agent and without a Vary.
 */
static slice page_types[] = {
    {"text/html", 9},
    {"application/xhtml+xml", 21},
    {"text/plain", 10},
    {"text/xml", 8},
    {"application/xml", 15},
    {"application/pdf", 15},
    {"application/rss+xml", 19},
    {"application/atom+xml", 20},
    {"image/*", 7},
    {"audio/*", 7},
    {"video/*", 7},
};

bool media_type_is_page(slice content_type)
{
    static const struct slices pages = {page_types, sizeof(page_types) / sizeof(page_types[0])};
    return slice_is_empty(media_type_of(content_type)) || media_type_is_in(content_type, pages);
}
