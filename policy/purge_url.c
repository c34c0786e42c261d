/* URLs in purge orders (semantics 6.4). */
#include "policy/host.h"
#include "policy/query.h"
#include "policy/route.h"
#include "policy/rules.h"
#include "policy/url.h"

/* Takes scheme and authority off an absolute URL. Without one, `rest` stays as it is. */
static void split_authority(slice *rest, slice *scheme, slice *authority)
{
    static const struct {
        slice prefix, scheme;
    } schemes[] = {{{"http://", 7}, {"http", 4}}, {{"https://", 8}, {"https", 5}}};
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (!slice_starts_with_nocase(*rest, schemes[i].prefix))
            continue;
        slice behind = slice_from(*rest, schemes[i].prefix.len);
        size_t end = 0;
        while (end < behind.len && behind.ptr[end] != '/' && behind.ptr[end] != '?')
            end++;
        *scheme = schemes[i].scheme;
        *authority = slice_until(behind, end);
        *rest = slice_from(behind, end);
        return;
    }
}

/* A host without a scheme may bear either scheme's default port. */
static bool normalise(struct arena *arena, slice raw, slice scheme, slice *host)
{
    slice once;
    if (scheme.len)
        return host_normalise(arena, raw, scheme, host);
    return host_normalise(arena, raw, SLICE("http"), &once) &&
           host_normalise(arena, once, SLICE("https"), host);
}

bool rules_purge_url(const struct policy *policy, struct arena *arena, slice url,
                     slice default_host, slice *host, slice *path, slice *query, bool *has_query)
{
    slice scheme = SLICE_NONE, authority = default_host, name;
    struct captures captures;
    url = slice_until(slice_trim(url), slice_find(slice_trim(url), '#', 0));
    bool is_relative = slice_starts_with(url, SLICE("/"));
    split_authority(&url, &scheme, &authority);
    if ((!is_relative && scheme.len == 0) || url_has_control_byte(url) ||
        !normalise(arena, authority, scheme, &name))
        return false;
    size_t mark = slice_find(url, '?', 0);
    slice found_path = slice_until(url, mark);
    *host = name;
    *path = found_path.len ? found_path : SLICE("/");
    query_apply(arena, route_find(policy, *path, false, &captures), slice_from(url, mark + 1),
                mark < url.len, query, has_query);
    return true;
}
