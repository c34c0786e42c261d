#include "edge/admin/api_url.h"

#include "policy/host.h"
#include "policy/proxy.h"

slice url_only_host(const struct policy *policy)
{
    bool is_one = policy->hosts.count == 1 && !slice_starts_with(policy->hosts.at[0], SLICE("*"));
    return is_one ? policy->hosts.at[0] : SLICE_NONE;
}

/* Empty: it names none of those that are served. */
static slice scheme_of(slice url)
{
    if (slice_starts_with_nocase(url, SLICE("https://")))
        return SLICE("https");
    return slice_starts_with_nocase(url, SLICE("http://")) ? SLICE("http") : SLICE_NONE;
}

/* From "http://host/path?query" or "/path?query"; `sent`, unless it has no pointer, is the host in
 * place of the URL's. */
static bool split(struct server *server, struct arena *arena, slice url, slice sent,
                  struct request *request)
{
    slice rest = url, host = url_only_host(server->policy), scheme = scheme_of(url);
    if (scheme.len) {
        rest = slice_from(url, scheme.len + SLICE("://").len);
        size_t host_end = 0;
        while (host_end < rest.len && rest.ptr[host_end] != '/' && rest.ptr[host_end] != '?' &&
               rest.ptr[host_end] != '#')
            host_end++;
        host = slice_until(rest, host_end);
        rest = slice_from(rest, host_end);
    }
    if (sent.ptr)
        host = sent;
    rest = slice_until(rest, slice_find(rest, '#', 0));
    if (!host.len || (rest.len && rest.ptr[0] != '/' && rest.ptr[0] != '?'))
        return false;
    bool has_no_path = !rest.len || rest.ptr[0] == '?';
    request->host_raw = host;
    request->target = has_no_path ? arena_concat(arena, (slice[]){SLICE("/"), rest}, 2) : rest;
    return host_normalise(arena, host, request->scheme, &request->host);
}

/* Host is no field of a request once it has come: it is taken out. False: there are two. */
static bool add_header_lines(struct arena *arena, const slice *lines, size_t count,
                             struct fields *fields, slice *host)
{
    for (size_t i = 0; i < count; i++) {
        size_t colon = slice_find(lines[i], ':', 0);
        slice name = slice_trim(slice_until(lines[i], colon));
        slice value = slice_trim(slice_from(lines[i], colon + 1));
        bool is_host = slice_equal_nocase(name, SLICE("host"));
        if (is_host && host->ptr)
            return false;
        if (is_host)
            *host = slice_of(value.ptr ? value.ptr : "", value.len);
        else if (name.len)
            fields_add(fields, arena_copy_lower(arena, name), value);
    }
    return true;
}

bool url_request(struct server *server, struct arena *arena, slice url, slice default_scheme,
                 const slice *header_lines, size_t header_count, struct request *request,
                 struct decision *decision)
{
    slice scheme = scheme_of(url), host = SLICE_NONE;
    *request = (struct request){.arena = arena,
                                .method = METHOD_GET,
                                .method_text = SLICE("GET"),
                                .scheme = scheme.len ? scheme : default_scheme,
                                .http_major = 1,
                                .http_minor = 1,
                                .peer.is_local =
                                    true, /* a trusted proxy, as the admin socket's callers are */
                                .id = SLICE("-"),
                                .received = clock_now()};
    fields_init(&request->fields, arena);
    if (!add_header_lines(arena, header_lines, header_count, &request->fields, &host))
        return false;
    proxy_resolve(server->policy, &request->fields, request);
    if (!split(server, arena, url, host, request))
        return false;
    size_t query = slice_find(request->target, '?', 0);
    request->path = slice_until(request->target, query);
    request->has_query = query < request->target.len;
    request->query = slice_from(request->target, query + 1);
    if (!fields_find_id(&request->fields,
                        FIELD_ACCEPT)) /* asked about as a browser would ask for it */
        fields_add_id(&request->fields, FIELD_ACCEPT, SLICE("text/html,*/*;q=0.8"));
    *decision = (struct decision){0};
    rules_receive(server->policy, request, SLICE_NONE, decision);
    return true;
}
