/*
 * A page of another origin must not reach us through its reader's browser: it is told by Origin, or
 * by a name of its own that it made point here (DNS rebinding), which an address is not.
 */
#include "edge/admin/api_door.h"

#include "base/ip.h"

#include <openssl/crypto.h>

bool door_opens(slice token, slice given)
{
    return given.len == token.len && token.len &&
           CRYPTO_memcmp(given.ptr, token.ptr, token.len) == 0;
}

/* Its own name, `localhost` or an address. */
static bool is_own_host(slice listen, slice host)
{
    struct ip_address address;
    size_t end = host.len;
    if (slice_equal_nocase(host, listen))
        return true;
    if (!slice_ends_with(host, SLICE("]")))
        while (end > 0 && host.ptr[end - 1] != ':')
            end--;
    slice name = end > 0 && end < host.len ? slice_until(host, end - 1) : host;
    return slice_equal_nocase(name, SLICE("localhost")) || ip_parse(name, &address);
}

static bool has_token(slice token, const struct request *request)
{
    slice bearer = fields_value(&request->fields, FIELD_AUTHORIZATION);
    return slice_starts_with_nocase(bearer, SLICE("Bearer ")) &&
           door_opens(token, slice_trim(slice_from(bearer, 7)));
}

struct api_refusal door_refusal(slice listen, slice token, const struct request *request)
{
    bool is_tcp = !slice_starts_with(listen, SLICE("unix:"));
    if (fields_find_id(&request->fields, FIELD_ORIGIN))
        return (struct api_refusal){403, "requests of other origins are refused"};
    if (is_tcp && !is_own_host(listen, request->host_raw))
        return (struct api_refusal){403, "the Host is not the admin listener's"};
    if (is_tcp && !has_token(token, request))
        return (struct api_refusal){401, "a bearer token is needed (admin.token_file)"};
    return (struct api_refusal){0};
}
