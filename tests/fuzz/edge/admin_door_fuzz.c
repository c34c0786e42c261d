/*
 * Who may come in at the admin listener (semantics 10.2): over TCP only who says the token, and
 * says it to a host that no page of another site can make its own; nowhere a page of another site.
 *
 *   input = flags (1 byte: 1: unix socket, 2: has an Origin) token file, NUL, Host, newline,
 *           Authorization
 */
#include "base/user_file.h"
#include "edge/admin/api_door.h"
#include "policy/host.h"

#include "tests/fuzz/input.h"

enum { IS_UNIX = 1, HAS_ORIGIN = 2 };

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Bearer, spaces, the token of the file but for what is around it, spaces. */
static bool says_token(slice file, slice authorization)
{
    size_t from = 0, to = file.len;
    while (from < to && is_space(file.ptr[from]))
        from++;
    while (to > from && is_space(file.ptr[to - 1]))
        to--;
    slice token = slice_from(slice_until(file, to), from);
    slice given = slice_trim(slice_from(authorization, 7));
    return token.len && slice_starts_with_nocase(authorization, SLICE("bearer ")) &&
           slice_equal(given, token);
}

static bool is_own(slice host, slice raw, slice listen)
{
    struct ip_address address;
    slice name = host_without_port(host);
    return slice_equal(name, SLICE("localhost")) || ip_parse(name, &address) ||
           slice_equal_nocase(raw, listen);
}

/* `host` is `raw` as varve writes it; in another spelling it may be refused. */
static void check_host(bool is_refused, slice raw, slice host, slice listen)
{
    MUST(is_refused || is_own(host, raw, listen));
    if (slice_equal(raw, host))
        MUST(is_refused == !is_own(host, raw, listen));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096), host;
    unsigned flags = take_byte(&input);
    size_t end = slice_find(input, '\0', 0);
    slice file = slice_until(input, end), listen = SLICE("varve.internal:9180");
    input = slice_from(input, end + 1);
    struct arena arena;
    arena_init(&arena);
    struct request request = {.arena = &arena, .host_raw = take_line(&input)};
    fields_init(&request.fields, &arena);
    fields_add_id(&request.fields, FIELD_AUTHORIZATION, input);
    if (flags & HAS_ORIGIN)
        fields_add_id(&request.fields, FIELD_ORIGIN, SLICE("null"));
    if (flags & IS_UNIX)
        listen = SLICE("unix:/run/varve.sock");
    if (host_normalise(&arena, request.host_raw, SLICE("http"), &host)) { /* else: 400 before */
        slice token;
        bool has_token = user_file_token(file, &token) == NULL;
        unsigned status = door_refusal(listen, token, &request).status;
        MUST(status == 0 || status == 401 || status == 403);
        if (flags & HAS_ORIGIN)
            MUST(status == 403);
        else if (flags & IS_UNIX)
            MUST(status == 0);
        else
            check_host(status == 403, request.host_raw, host, listen);
        if (!(flags & (HAS_ORIGIN | IS_UNIX)) && status != 403)
            MUST((status == 0) == (has_token && says_token(file, input)));
    }
    arena_fini(&arena);
    return 0;
}
