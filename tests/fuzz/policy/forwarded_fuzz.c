/*
 * Who the client is behind proxies: X-Forwarded-For, Forwarded, X-Forwarded-Proto. A peer that is
 * not trusted changes nothing; of lists without ports a slow reading says the same; and what a
 * trusted proxy appends is found, whatever stood there before.
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

static bool has_ports(slice list)
{
    return slice_find(list, ':', 0) < list.len || slice_find(list, '[', 0) < list.len;
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
        client = ip_parse(text, &hop) ? hop : (struct ip_address){.is_unknown = true};
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
    if (request->peer_is_trusted && is_x && !has_ports(list)) {
        struct ip_address expected = naive_client(policy, list, request->peer);
        MUST(ip_equal(&request->client, &expected));
    }
}

/* What the peer, a proxy, would have made of the same request, in a line of its own or behind the
 * client's. */
static void check_appended(const struct policy *policy, const struct request *request, slice name,
                           slice appended, slice client)
{
    slice list;
    struct ip_address expected;
    struct request io = *request;
    bool is_of_forwarded = slice_equal(name, SLICE("forwarded"));
    if (!request->peer_is_trusted ||
        (is_of_forwarded && (fields_find(&request->fields, SLICE("x-forwarded-for")) ||
                             fields_find(&request->fields, SLICE("x-forwarded-proto")))))
        return;
    if (fields_join(&request->fields, name, io.arena, &list))
        appended = arena_concat(io.arena, (slice[]){list, SLICE(", "), appended}, 3);
    struct fields fields;
    fields_init(&fields, io.arena);
    fields_add(&fields, name, appended);
    if (!is_of_forwarded)
        fields_add(&fields, SLICE("x-forwarded-proto"),
                   fields_join(&request->fields, SLICE("x-forwarded-proto"), io.arena, &list)
                       ? arena_concat(io.arena, (slice[]){list, SLICE(",https")}, 2)
                       : SLICE("https"));
    MUST(ip_parse(client, &expected));
    proxy_resolve(policy, &fields, &io);
    MUST(ip_equal(&io.client, &expected));
    MUST(slice_equal(io.scheme, SLICE("https")));
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
    check_appended(&policy, &request, SLICE("x-forwarded-for"), SLICE("192.0.2.77"),
                   SLICE("192.0.2.77"));
    check_appended(&policy, &request, SLICE("forwarded"),
                   SLICE("host=\"a, \\\";for=1.1.1.1\";For=\"[2001:db9::7]:80\";proto=https"),
                   SLICE("2001:db9::7"));
    arena_fini(&arena);
    return 0;
}
