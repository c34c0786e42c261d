/*
 * Requests to origins: whatever bytes a method, target, host, field or body holds, what goes over
 * the wire is one request by our own strict reading of heads (and libh2o's), with the framing that
 * was meant and no field more.
 *
 *   input = flags (1: has a body, 2: upgrade) method, target, host, body length (1 byte), then the
 *           fields as "name: value" each behind a NUL; the rest of the last is the body
 */
#include "edge/http/head_check.h"
#include "edge/origin/request_writer.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>

enum { FIELDS_MAX = 60 };

/* Up to the next NUL, taken off: newlines are what we want to see inside. */
static slice take_text(slice *input)
{
    size_t end = slice_find(*input, '\0', 0);
    slice text = slice_until(*input, end);
    *input = slice_from(*input, end + 1);
    return text;
}

static void take_fields(slice *input, struct fields *fields)
{
    while (input->len && fields->count < FIELDS_MAX) {
        slice line = take_text(input);
        size_t colon = slice_find(line, ':', 0);
        fields_add(fields, arena_copy_lower(fields->arena, slice_until(line, colon)),
                   slice_from(line, colon + 1));
    }
}

static size_t count_lines(slice head)
{
    size_t lines = 0;
    for (size_t i = 0; i < head.len; i++)
        lines += head.ptr[i] == '\n';
    return lines;
}

/* As head_check() reads it, with an eye for values that it refuses and origins do not mind. */
static void check_head(slice head, const struct call_request *request, size_t body_bytes)
{
    static const struct head_limits limits = {1 << 20, 1 << 20, 4 * FIELDS_MAX};
    struct head_scan scan = {0};
    struct head_refusal refusal;
    struct head read;
    size_t bytes = 0;
    MUST(head_scan(&scan, head, &limits, &bytes, &refusal) == HEAD_OK && bytes == head.len);
    /* request line, host, connection, empty line, perhaps content-length and upgrade */
    MUST(count_lines(head) <= request->forward->fields.count + request->more_fields->count + 6);
    if (head_check(head, &limits, &read, &refusal) == HEAD_REFUSED)
        return;
    MUST(read.body != HEAD_BODY_CHUNKED && read.host.ptr);
    MUST(read.body == HEAD_BODY_LENGTH ? read.content_length == body_bytes : body_bytes == 0);
    MUST(!read.wants_close && !read.expect.ptr);
}

static void check_framing(slice head, size_t body_bytes)
{
    size_t lengths = 0, hosts = 0;
    slice line;
    slice_next(&head, '\n', &line);
    MUST(slice_ends_with(line, SLICE(" HTTP/1.1\r")));
    while (slice_next(&head, '\n', &line)) {
        uint64_t length;
        line = slice_until(line, line.len - (line.len > 0));
        slice name = slice_trim(slice_until(line, slice_find(line, ':', 0)));
        MUST(slice_find(line, '\r', 0) == line.len && slice_find(line, '\0', 0) == line.len);
        MUST(!slice_equal_nocase(name, SLICE("transfer-encoding")));
        hosts += slice_equal_nocase(name, SLICE("host"));
        if (!slice_equal_nocase(name, SLICE("content-length")))
            continue;
        MUST(slice_to_u64(slice_trim(slice_from(line, 15)), &length) && length == body_bytes);
        lengths++;
    }
    MUST(hosts == 1 && lengths <= 1 && (lengths == 1 || body_bytes == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < 8192 ? size : 8192);
    unsigned flags = take_byte(&input);
    size_t body_bytes = take_byte(&input), bytes = 0, host_at = 0;
    struct arena arena;
    struct fields more;
    struct forward forward = {.method = take_text(&input), .target = take_text(&input)};
    arena_init(&arena);
    fields_init(&forward.fields, &arena);
    fields_init(&more, &arena);
    struct call_request request = {.forward = &forward, .more_fields = &more};
    request.host_header = take_text(&input);
    request.has_body = flags & 1;
    request.is_upgrade = flags & 2;
    request.body = request.has_body ? slice_until(input, body_bytes) : SLICE_NONE;
    input = slice_from(input, request.body.len);
    take_fields(&input, flags & 4 ? &more : &forward.fields);
    char *text = request_write(&request, SIZE_MAX, &bytes, &host_at);
    MUST(bytes > request.body.len && host_at < bytes);
    slice head = slice_of(text, bytes - request.body.len);
    MUST(slice_equal(slice_from(slice_of(text, bytes), head.len), request.body));
    check_head(head, &request, request.body.len);
    check_framing(head, request.body.len);
    free(text);
    arena_fini(&arena);
    return 0;
}
