/*
 * Head of a request. Hop-by-hop fields and framing are written here and nowhere else; the same
 * names in the forwarded fields are left out, so that a client cannot frame a request twice. Bytes
 * that could end a line or a word were refused long before; here they are made harmless once more,
 * because a mistake anywhere above would be a request smuggled into a renderer.
 */
#include "edge/origin/request_writer.h"

#include "base/token.h"

#include <stdio.h>
#include <stdlib.h>

struct writer {
    char *at;
    size_t bytes, capacity;
};

static void put(struct writer *writer, slice s)
{
    if (s.len == 0)
        return;
    if (writer->capacity - writer->bytes < s.len) {
        writer->capacity = (writer->capacity + s.len) * 2;
        writer->at = mem_grow(writer->at, writer->capacity);
    }
    memcpy(writer->at + writer->bytes, s.ptr, s.len);
    writer->bytes += s.len;
}

/* A field value: CR, LF and NUL become SP (RFC 9110 §5.5). */
static void put_value(struct writer *writer, slice value)
{
    size_t start = writer->bytes;
    put(writer, value);
    for (size_t i = start; i < writer->bytes; i++) {
        char c = writer->at[i];
        if (c == '\r' || c == '\n' || c == '\0')
            writer->at[i] = ' ';
    }
}

static void put_target(struct writer *writer, slice target)
{
    static const char HEX[] = "0123456789ABCDEF";
    if (target.len == 0 || (target.ptr[0] != '/' && !slice_equal(target, SLICE("*"))))
        put(writer, SLICE("/"));
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.ptr[i];
        if (c > 0x20 && c != 0x7f)
            put(writer, slice_of(target.ptr + i, 1));
        else
            put(writer, slice_of((char[]){'%', HEX[c >> 4], HEX[c & 15]}, 3));
    }
}

static void put_field(struct writer *writer, slice name, slice value)
{
    put(writer, name);
    put(writer, SLICE(": "));
    put_value(writer, value);
    put(writer, SLICE("\r\n"));
}

static bool is_ours(const struct field *field, bool is_upgrade)
{
    switch (field->id) {
    case FIELD_HOST:
    case FIELD_CONTENT_LENGTH:
    case FIELD_CONNECTION:
    case FIELD_KEEP_ALIVE:
    case FIELD_PROXY_CONNECTION:
    case FIELD_TRANSFER_ENCODING:
    case FIELD_TRAILER:
    case FIELD_TE:
    case FIELD_EXPECT:
        return true;
    case FIELD_UPGRADE:
        return !is_upgrade;
    default:
        return false;
    }
}

static void put_fields(struct writer *writer, const struct fields *fields, bool is_upgrade)
{
    for (size_t i = 0; fields && i < fields->count; i++)
        if (!is_ours(&fields->at[i], is_upgrade) && is_token(fields->at[i].name))
            put_field(writer, fields->at[i].name, fields->at[i].value);
}

/* Without a body these methods still say so: many servers answer 411 to a POST without a length. */
static bool expects_body(slice method)
{
    return slice_equal(method, SLICE("POST")) || slice_equal(method, SLICE("PUT")) ||
           slice_equal(method, SLICE("PATCH"));
}

static void put_framing(struct writer *writer, const struct call_request *request)
{
    if (request->has_body || expects_body(request->forward->method)) {
        char text[32];
        int bytes = snprintf(text, sizeof(text), "%zu", request->has_body ? request->body.len : 0);
        put_field(writer, SLICE("content-length"), slice_of(text, (size_t)bytes));
    }
    if (!request->is_upgrade) {
        put_field(writer, SLICE("connection"), SLICE("keep-alive"));
        return;
    }
    put_field(writer, SLICE("connection"), SLICE("upgrade"));
    if (!fields_find_id(&request->forward->fields, FIELD_UPGRADE) &&
        !(request->more_fields && fields_find_id(request->more_fields, FIELD_UPGRADE)))
        put_field(writer, SLICE("upgrade"), SLICE("websocket"));
}

char *request_write(const struct call_request *request, size_t body_bytes, size_t *bytes,
                    size_t *host_at)
{
    struct writer writer = {.capacity = 1024 + body_bytes};
    writer.at = mem_alloc(writer.capacity);
    put(&writer, is_token(request->forward->method) ? request->forward->method : SLICE("GET"));
    put(&writer, SLICE(" "));
    put_target(&writer, request->forward->target);
    put(&writer, SLICE(" HTTP/1.1\r\n"));
    put(&writer, SLICE("host: "));
    put_value(&writer, request->host_header);
    *host_at = writer.bytes;
    put(&writer, SLICE("\r\n"));
    put_fields(&writer, &request->forward->fields, request->is_upgrade);
    put_fields(&writer, request->more_fields, request->is_upgrade);
    put_framing(&writer, request);
    put(&writer, SLICE("\r\n"));
    put(&writer, slice_until(request->body, body_bytes));
    *bytes = writer.bytes;
    return writer.at;
}

bool method_is_idempotent(slice method)
{
    static const slice METHODS[] = {{"GET", 3},   {"HEAD", 4}, {"OPTIONS", 7},
                                    {"TRACE", 5}, {"PUT", 3},  {"DELETE", 6}};
    for (size_t i = 0; i < sizeof(METHODS) / sizeof(METHODS[0]); i++)
        if (slice_equal(method, METHODS[i]))
            return true;
    return false;
}
