/*
 * Interim responses (RFC 9110 §15.2) to clients, while their request waits for its answer.
 *
 * HTTP/1.1: libh2o has nothing to write on such a connection and does not read from it, so the head
 * is written on its socket here. One write at a time: further heads queue behind the one under way,
 * and the answer must wait for the last of them (front_awaits_interim()).
 */
#include "edge/http/front_internal.h"

#include "base/must.h"

#include <stdlib.h>

/* A client that takes no bytes gets no further hints. */
enum { QUEUE_MAX_BYTES = 32 * 1024 };

struct bytes {
    char *at;
    size_t count;
};

struct interim_writer {
    struct bytes writing, queued; /* `writing.at`: NULL while no write is under way */
    void (*done)(void *owner);    /* the answer waits */
    void *owner;
};

/* --- writing --- */

static void on_written(h2o_socket_t *sock, const char *err);

static void write_queued(struct client_connection *c)
{
    struct interim_writer *writer = c->interim;
    writer->writing = writer->queued;
    writer->queued = (struct bytes){0};
    h2o_iovec_t bytes = h2o_iovec_init(writer->writing.at, writer->writing.count);
    h2o_socket_write(c->sock, &bytes, 1, on_written);
}

static void tell_done(struct interim_writer *writer)
{
    void (*done)(void *owner) = writer->done;
    writer->done = NULL;
    if (done)
        done(writer->owner);
}

/* After a failed write the answer is written all the same: that fails too, and libh2o closes. */
static void on_written(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    struct interim_writer *writer = c->interim;
    free(writer->writing.at);
    writer->writing = (struct bytes){0};
    if (err) {
        free(writer->queued.at);
        writer->queued = (struct bytes){0};
        client_close(c);
    }
    if (writer->queued.at)
        write_queued(c);
    else
        tell_done(writer);
}

/* --- the head --- */

static size_t head_bytes(slice reason, const struct fields *fields)
{
    size_t bytes = sizeof("HTTP/1.1 103 \r\n\r\n") - 1 + reason.len;
    for (size_t i = 0; i < fields->count; i++)
        bytes += fields->at[i].name.len + fields->at[i].value.len + sizeof(": \r\n") - 1;
    return bytes;
}

static void put(struct bytes *into, slice s)
{
    if (s.len)
        memcpy(into->at + into->count, s.ptr, s.len);
    into->count += s.len;
}

static void put_head(struct bytes *into, unsigned status, slice reason, const struct fields *fields)
{
    const char digits[] = {'1', (char)('0' + status / 10 % 10), (char)('0' + status % 10), ' '};
    put(into, SLICE("HTTP/1.1 "));
    put(into, slice_of(digits, sizeof(digits)));
    put(into, reason);
    put(into, SLICE("\r\n"));
    for (size_t i = 0; i < fields->count; i++) {
        put(into, fields->at[i].name);
        put(into, SLICE(": "));
        put(into, fields->at[i].value);
        put(into, SLICE("\r\n"));
    }
    put(into, SLICE("\r\n"));
}

static void h1_send_interim(struct client_connection *c, unsigned status, slice reason,
                            const struct fields *fields)
{
    if (!c->interim)
        c->interim = mem_alloc(sizeof(*c->interim));
    struct interim_writer *writer = c->interim;
    size_t more = head_bytes(reason, fields);
    if (more > QUEUE_MAX_BYTES - writer->queued.count)
        return;
    writer->queued.at = mem_grow(writer->queued.at, writer->queued.count + more);
    put_head(&writer->queued, status, reason, fields);
    if (!writer->writing.at)
        write_queued(c);
}

/* --- for all versions --- */

void front_send_interim(h2o_req_t *req, unsigned status, slice reason, const struct fields *fields)
{
    MUST(status > 101 && status < 200);
    if (req->version >= 0x200)
        h2_send_interim(req, status, fields);
    else if (req->version == 0x101) /* RFC 9110 §15.2: an HTTP/1.0 client understands none */
        h1_send_interim(client_of(req), status, reason, fields);
}

bool front_awaits_interim(h2o_req_t *req, void (*done)(void *owner), void *owner)
{
    struct interim_writer *writer = req->version < 0x200 ? client_of(req)->interim : NULL;
    if (!writer || !writer->writing.at)
        return false;
    writer->done = done;
    writer->owner = owner;
    return true;
}

void interim_free(struct client_connection *c)
{
    if (!c->interim)
        return;
    free(c->interim->writing.at);
    free(c->interim->queued.at);
    free(c->interim);
}
