/*
 * Hosts and URLs: a host has one spelling, a redirect to the request's own URL is known as one, a
 * purge of a URL means the object of that URL, and what goes into `target:` is percent-encoded.
 *
 *   input = scheme (1 byte) host, newline, target, newline, location
 */
#include "policy/host.h"
#include "policy/redirect.h"
#include "policy/reference.h"
#include "policy/template.h"
#include "policy/url.h"

#include "tests/fuzz/input.h"

static void check_form(slice host)
{
    MUST(host.len > 0);
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];
        MUST(c > ' ' && c < 0x7f && c == ascii_lower(c) && !strchr("/?#@\\%,;\"", c));
    }
    MUST(!slice_ends_with(host, SLICE(".")) && !slice_ends_with(host, SLICE(":")));
}

static bool check_host(struct arena *arena, slice raw, slice scheme, slice *host)
{
    slice twice;
    if (!host_normalise(arena, raw, scheme, host))
        return false;
    check_form(*host);
    MUST(host_normalise(arena, *host, scheme, &twice) && slice_equal(*host, twice));
    MUST(slice_starts_with(*host, host_without_port(*host)));
    return true;
}

static bool is_plain_path(slice path)
{
    if (!slice_starts_with(path, SLICE("/")) || slice_starts_with(path, SLICE("//")))
        return false;
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] <= ' ' || path.ptr[i] == 0x7f || path.ptr[i] == '#' ||
            path.ptr[i] == '.')
            return false;
    return true;
}

static void check_reference(const struct request *request, slice text)
{
    struct reference target;
    slice segment;
    if (!reference_resolve(request, text, &target))
        return;
    MUST(slice_starts_with(target.path, SLICE("/")));
    MUST(slice_equal(target.scheme, SLICE("http")) || slice_equal(target.scheme, SLICE("https")));
    MUST(target.has_query || target.query.len == 0);
    for (slice rest = target.path; slice_next(&rest, '/', &segment);)
        MUST(!slice_equal(segment, SLICE(".")) && !slice_equal(segment, SLICE("..")));
}

static bool is_own(const struct request *request, slice text)
{
    struct reference target;
    return reference_resolve(request, text, &target) && reference_is_own(request, &target);
}

static void check_redirect(struct arena *arena, const struct request *request,
                           const struct decision *decision, slice location)
{
    slice www = slice_starts_with(request->host, SLICE("[")) ? SLICE_NONE : SLICE("www.");
    slice own =
        arena_concat(arena, (slice[]){SLICE("https://"), www, request->host, request->target}, 4);
    slice other =
        arena_concat(arena, (slice[]){SLICE("//not-"), request->host, request->target}, 3);
    redirect_is_to_itself(request, decision, location);
    check_reference(request, location);
    if (!is_plain_path(request->target))
        return;
    MUST(redirect_is_to_itself(request, decision, request->target));
    MUST(redirect_is_to_itself(request, decision, own));
    MUST(!redirect_is_to_itself(request, decision, other));
    MUST(is_own(request, request->target) && is_own(request, SLICE("#part")));
    MUST(!is_own(request, other));
    MUST(!www.len || !is_own(request, own)); /* another host, for all but redirects */
}

static void check_purge(struct arena *arena, const struct request *request)
{
    struct policy policy = {.route_count = 0};
    slice host, path, query,
        url = arena_concat(
            arena, (slice[]){request->scheme, SLICE("://"), request->host, request->target}, 4);
    bool has_query;
    if (slice_find(url, '#', 0) < url.len || !slice_equal(url, slice_trim(url)))
        return;
    bool is_read =
        rules_purge_url(&policy, arena, url, SLICE_NONE, &host, &path, &query, &has_query);
    MUST(is_read == !url_has_control_byte(url));
    if (is_read)
        MUST(slice_equal(host, request->host) && slice_equal(path, request->path) &&
             has_query == request->has_query && slice_equal(query, request->query));
}

static void check_encoding(struct arena *arena, slice text)
{
    slice encoded = url_percent_encode(arena, text);
    size_t at = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)encoded.ptr[at];
        MUST(at < encoded.len && byte > ' ' && byte < 0x7f && !strchr("&=+?#/\"'", byte));
        if (byte == '%') {
            byte = (unsigned char)(hex_value(encoded.ptr[at + 1]) * 16 +
                                   hex_value(encoded.ptr[at + 2]));
            at += 2;
        }
        MUST(byte == (unsigned char)text.ptr[i]);
        at++;
    }
    MUST(at == encoded.len);
}

static void check_template(const struct request *request, struct decision *decision)
{
    struct origin_config origin = {.target = SLICE("/_render/{host}?u={url}&p={path}&{x}")};
    slice own = template_target(request, decision, request->query, request->has_query);
    MUST(slice_equal(own, request->target));
    decision->origin = &origin;
    slice target = template_target(request, decision, request->query, request->has_query);
    MUST(slice_starts_with(target, SLICE("/_render/")) && slice_ends_with(target, SLICE("&{x}")));
    slice query = slice_from(target, slice_search(target, SLICE("?u=")) + 3), parameter;
    MUST(slice_find(query, '/', 0) == query.len && slice_find(query, '?', 0) == query.len);
    size_t parameters = 0;
    while (slice_next(&query, '&', &parameter))
        parameters++;
    MUST(parameters == 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096);
    struct arena arena;
    arena_init(&arena);
    struct request request = {.arena = &arena};
    request.scheme = take_byte(&input) & 1 ? SLICE("https") : SLICE("http");
    slice raw = take_line(&input), line = take_line(&input);
    request.target = arena_concat(&arena, (slice[]){SLICE("/"), line}, 2);
    size_t mark = slice_find(request.target, '?', 0);
    request.path = slice_until(request.target, mark);
    request.has_query = mark < request.target.len;
    request.query = slice_from(request.target, mark + 1);
    struct origin_config origin = {.slots = 1};
    struct decision decision = {
        .origin = &origin, .query = request.query, .has_query = request.has_query};
    check_encoding(&arena, input);
    if (check_host(&arena, raw, request.scheme, &request.host)) {
        request.host_raw = raw;
        check_redirect(&arena, &request, &decision, input);
        check_purge(&arena, &request);
        check_template(&request, &decision);
    }
    arena_fini(&arena);
    return 0;
}
