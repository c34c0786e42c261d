/*
 * Lines of the access log: whatever clients say, JSON stays JSON with the fields in it, the
 * combined format stays one line of printable ASCII, and the value of a redacted parameter is in
 * neither.
 *
 *   input = flags (1 byte: 1 combined, 2 redacts) host, method, target, user agent, referer,
 *           each behind a NUL
 */
#include "edge/admin/request_log.h"

#include "tests/fuzz/input.h"

#include <jansson.h>

enum { IS_NCSA = 1, REDACTS = 2 };

static slice redacted[] = {{"token", 5}};

static slice take_text(slice *input)
{
    size_t end = slice_find(*input, '\0', 0);
    slice text = slice_until(*input, end);
    *input = slice_from(*input, end + 1);
    return text;
}

static void check_json(slice line, const struct request *request)
{
    static const char *const names[] = {"time",   "id",    "client",  "host",    "method", "path",
                                        "status", "bytes", "outcome", "reason",  "route",  "class",
                                        "worker", "age",   "ua",      "total_ms"};
    json_error_t error;
    json_t *json = json_loadb(line.ptr, line.len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    MUST(json_is_object(json));
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        MUST(json_object_get(json, names[i]));
    bool is_plain =
        request->target.len < 300 && slice_find(request->target, '?', 0) == request->target.len;
    for (size_t i = 0; i < request->target.len; i++)
        is_plain &= (unsigned char)request->target.ptr[i] < 0x80;
    if (is_plain)
        MUST(slice_equal(slice_of_string(json_string_value(json_object_get(json, "path"))),
                         request->target));
    json_decref(json);
}

static bool has_plain_path(slice url)
{
    return slice_find(url, '&', 0) >= slice_find(url, '?', 0);
}

/* Then "&" stands only where a parameter begins. */
static void check_redacted(slice line, slice target, slice referer)
{
    if (has_plain_path(target) && has_plain_path(referer))
        MUST(slice_search(line, SLICE("&token=s3cr3t")) == line.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct loop loop;
    static char bytes[REQUEST_LINE_BYTES];
    slice input = input_of(data, size < 16384 ? size : 16384);
    unsigned flags = take_byte(&input);
    struct policy policy = {.access_log_path = SLICE("-"),
                            .access_log_is_ncsa = flags & IS_NCSA,
                            .redact_query = {redacted, flags & REDACTS ? 1 : 0}};
    struct route route = {.match = SLICE("/**")};
    struct server server = {.policy = &policy};
    struct exchange ex = {.server = &server, .loop = &loop, .started = {{1700000000123}, {0}}};
    struct request request = {.client = {.is_local = true}, .http_major = 1, .http_minor = 1};
    arena_init(&ex.arena);
    request.arena = &ex.arena;
    slice host = take_text(&input), method = take_text(&input);
    request.target = take_text(&input);
    request.id = SLICE("id-1");
    slice agent = take_text(&input);
    fields_init(&request.fields, &ex.arena);
    if (!(flags & REDACTS)) {
        request.host = host;
        request.method_text = method;
        fields_add_id(&request.fields, FIELD_USER_AGENT, agent);
    }
    fields_add_id(&request.fields, FIELD_REFERER, input);
    ex.request = &request;
    ex.decision.route = &route;
    slice line = request_log_line(&ex, (duration){12}, bytes);
    MUST(line.len > 1 && line.len <= sizeof(bytes) && line.ptr[line.len - 1] == '\n');
    for (size_t i = 0; i + 1 < line.len; i++)
        MUST(line.ptr[i] >= ' ' && line.ptr[i] < 0x7f);
    if (!(flags & IS_NCSA))
        check_json(line, &request);
    if (flags & REDACTS)
        check_redacted(line, request.target, input);
    arena_fini(&ex.arena);
    return 0;
}
