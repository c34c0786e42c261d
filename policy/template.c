/* {name} is replaced where the name is known, and stays where it is not: the values are never read
 * again. */
#include "policy/template.h"

#include "base/text.h"
#include "policy/url.h"

struct placeholder {
    slice name; /* with its braces */
    slice value;
};

static const struct placeholder *find_at(slice text, const struct placeholder *all, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (slice_starts_with(text, all[i].name))
            return &all[i];
    return NULL;
}

/* A brace that opens no known placeholder stays. */
static slice fill(struct arena *arena, slice text, const struct placeholder *all, size_t count)
{
    struct text filled = {.arena = arena};
    while (text.len) {
        size_t brace = slice_find(text, '{', 0);
        const struct placeholder *found = find_at(slice_from(text, brace), all, count);
        text_add(&filled, slice_until(text, found ? brace : brace + 1));
        text_add(&filled, found ? found->value : SLICE_NONE);
        text = slice_from(text, found ? brace + found->name.len : brace + 1);
    }
    return text_view(&filled);
}

slice template_header(const struct set_header *header, const struct request *request,
                      const struct decision *decision)
{
    if (slice_find(header->template, '{', 0) == header->template.len)
        return header->template;
    const struct placeholder all[] = {
        {SLICE("{class}"), decision->class_config ? decision->class_config->name : SLICE_NONE},
        {SLICE("{host}"), request->host},
        {SLICE("{build}"), decision->build ? *decision->build : SLICE_NONE},
    };
    return fill(request->arena, header->template, all, sizeof(all) / sizeof(all[0]));
}

static slice with_query(struct arena *arena, slice path, slice query, bool has_query)
{
    return has_query ? arena_concat(arena, (slice[]){path, SLICE("?"), query}, 3) : path;
}

static slice public_url(const struct request *request, slice target)
{
    return arena_concat(request->arena,
                        (slice[]){request->scheme, SLICE("://"), request->host, target}, 4);
}

slice template_target(const struct request *request, const struct decision *decision, slice query,
                      bool has_query)
{
    struct arena *arena = request->arena;
    slice template = decision->origin->target;
    if (!slice_starts_with(request->path, SLICE("/"))) /* OPTIONS * */
        return request->target;
    slice own = with_query(arena, request->path, query, has_query);
    if (template.len == 0)
        return own;
    bool has_url = slice_search(template, SLICE("{url}")) < template.len;
    enum { URL, HOST, PATH, COUNT };
    struct placeholder all[COUNT] = {
        [URL] = {SLICE("{url}"),
                 has_url ? url_percent_encode(arena, public_url(request, own)) : SLICE_NONE},
        [HOST] = {SLICE("{host}"), request->host},
        [PATH] = {SLICE("{path}"), request->path},
    };
    size_t mark = slice_find(template, '?', 0);
    slice target = fill(arena, slice_until(template, mark), all, COUNT);
    if (mark == template.len)
        return with_query(arena, target, query, !has_url && has_query);
    /* a client's `&base=…` in the path must not become a parameter of its own */
    all[PATH].value = url_percent_encode(arena, request->path);
    return arena_concat(arena,
                        (slice[]){target, fill(arena, slice_from(template, mark), all, COUNT)}, 2);
}
