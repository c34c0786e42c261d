/*
 * Who the client is behind proxies: X-Forwarded-For, Forwarded, X-Forwarded-Proto. A peer that is
 * not trusted changes nothing; of plain IPv4 lists a slow reading says the same.
 *
 *   input = peer and listener (1 byte), lines "name: value"
 */
#include "policy/head.h"
#include "policy/proxy.h"

#include "tests/fuzz/input.h"

static const char *const peers[] = {"10.0.0.1", "127.0.0.1", "192.0.2.9", "2001:db8::5"};
static struct ip_range trusted[2];

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    return ip_range_parse(SLICE("10.0.0.0/8"), &trusted[0]) &&
                   ip_range_parse(SLICE("2001:db8::/32"), &trusted[1])
               ? 0
               : 1;
}

static void add_lines(struct fields *fields, slice input)
{
    while (input.len && fields->count < 50) {
        slice line = take_line(&input);
        size_t colon = slice_find(line, ':', 0);
        fields_add(fields, arena_copy_lower(fields->arena, slice_until(line, colon)),
                   slice_trim(slice_from(line, colon + 1)));
    }
}

static bool is_plain_list(slice list)
{
    for (size_t i = 0; i < list.len; i++)
        if (!strchr("0123456789., \t", list.ptr[i]) || list.ptr[i] == '\0')
            return false;
    return true;
}

/* From the right, as long as who says it is trusted. */
static struct ip_address naive_client(const struct policy *policy, slice list,
                                      struct ip_address peer)
{
    struct ip_address client = peer, hop;
    size_t end = list.len + 1;
    while (end > 0 && proxy_is_trusted(policy, &client)) {
        size_t start = end - 1;
        while (start > 0 && list.ptr[start - 1] != ',')
            start--;
        slice text = slice_trim(slice_from(slice_until(list, end - 1), start));
        end = start;
        if (text.len == 0)
            continue;
        if (!ip_parse(text, &hop))
            break;
        client = hop;
    }
    return client;
}

static void check_client(const struct policy *policy, const struct request *request)
{
    slice list;
    bool is_x = fields_join(&request->fields, SLICE("x-forwarded-for"), request->arena, &list);
    MUST(request->peer_is_trusted == proxy_is_trusted(policy, &request->peer));
    MUST(request->peer_is_trusted || ip_equal(&request->client, &request->peer));
    if (!is_x && !fields_find(&request->fields, SLICE("forwarded")))
        MUST(ip_equal(&request->client, &request->peer));
    if (request->peer_is_trusted && is_x && is_plain_list(list)) {
        struct ip_address expected = naive_client(policy, list, request->peer);
        MUST(ip_equal(&request->client, &expected));
    }
}

static void check_forwarded_for(const struct request *request)
{
    char text[IP_TEXT_BYTES];
    slice sent = head_forwarded_for(request);
    if (!request->peer.is_local)
        MUST(slice_ends_with(sent, ip_format(&request->peer, text)));
    if (!request->peer_is_trusted)
        MUST(slice_equal(sent, ip_format(&request->peer, text)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 4096 ? size : 4096);
    unsigned mode = take_byte(&input);
    struct policy policy = {.trusted_proxies = {trusted, 2}};
    struct arena arena;
    arena_init(&arena);
    struct request request = {.arena = &arena, .scheme = mode & 8 ? SLICE("https") : SLICE("http")};
    slice scheme = request.scheme;
    fields_init(&request.fields, &arena);
    add_lines(&request.fields, input);
    request.peer.is_local = mode & 4;
    if (!request.peer.is_local)
        MUST(ip_parse(slice_of_string(peers[mode & 3]), &request.peer));
    proxy_resolve(&policy, &request.fields, &request);
    MUST(slice_equal(request.scheme, SLICE("http")) || slice_equal(request.scheme, SLICE("https")));
    MUST(request.peer_is_trusted || slice_equal(request.scheme, scheme));
    check_client(&policy, &request);
    check_forwarded_for(&request);
    arena_fini(&arena);
    return 0;
}
