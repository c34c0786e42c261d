/*
 * HTTP/2: what has arrived goes to libh2o in pieces, so that what a frame made libh2o do is counted
 * before many more are looked at.
 *
 * - Streams that libh2o resets because of what the client sent count like those that the client
 *   resets: MadeYouReset (CVE-2025-8671) is Rapid Reset by other means.
 * - A block of some kilobytes can name a field of its table thousands of times. What a long one
 *   became is measured behind it.
 * - When the last bytes of an answer are being written, and its stream's window is used up by them,
 *   libh2o takes more window for the stream as a broken invariant, and aborts. It is never shown
 *   that. Only while something is being written: then frames go to it one by one.
 * - It knows nothing of Expect: behind a head whose body is to come that is looked at.
 * - Once it has an error to tell it reads nothing more, but would go on collecting input.
 */
#include "edge/http/h2_streams.h"

#include <stdlib.h>

enum {
    PIECE_BYTES = 16 * 1024,
    FIELDS_FLOOD_FACTOR = 4 /* above the limit they are refused, far above it is an attack */
};

enum outcome { GOES_ON, IS_OVER, IS_FLOOD };

static enum outcome flood(struct client_connection *c, const char *why)
{
    c->h2->why = why;
    return IS_FLOOD;
}

/* --- what libh2o makes of a frame --- */

static uint64_t resets_by_libh2o(const struct client_connection *c)
{
    uint64_t sum = 0;
    const h2o_context_t *context = &c->owner->loop->context;
    for (size_t i = 0; i < H2O_HTTP2_ERROR_MAX; i++)
        sum += context->http2.events.protocol_level_errors[i];
    return sum;
}

/* Streams that wait for nothing but the end of a write need no window any more. */
static void protect_ended_streams(struct client_connection *c)
{
    h2o_linklist_t *anchor = &h2_conn_of(c)->_write.streams_to_proceed;
    for (h2o_linklist_t *link = anchor->next; link != anchor; link = link->next) {
        h2o_http2_stream_t *stream = container_of(link, h2o_http2_stream_t, _refs.link);
        if (stream->state == H2O_HTTP2_STREAM_STATE_END_STREAM &&
            h2o_http2_window_get_window(&stream->output_window) <= 0)
            stream->output_window._avail = 1;
    }
}

static size_t fields_of_a_flood(const struct client_connection *c)
{
    return FIELDS_FLOOD_FACTOR * c->owner->front->head_limits.fields;
}

/* A field takes a byte at least: most blocks are too short for many. */
static bool is_after_long_block(const struct client_connection *c)
{
    const struct h2_frame *frame = &c->h2->frame;
    return (frame->type == H2_HEADERS || frame->type == H2_CONTINUATION) &&
           c->h2->block_bytes > fields_of_a_flood(c);
}

static bool is_header_bomb(const struct client_connection *c)
{
    if (!is_after_long_block(c))
        return false;
    const h2o_http2_stream_t *stream = h2_find_stream(c, c->h2->frame.stream);
    return stream && stream->req.headers.size > fields_of_a_flood(c);
}

static enum outcome judge(struct client_connection *c, uint64_t resets)
{
    if (!h2o_socket_is_reading(c->sock)) { /* it has closed; TLS still says so to the client */
        client_linger_later(c);
        client_move(c, PHASE_CLOSED);
        return IS_OVER;
    }
    if (h2_conn_of(c)->state >= H2O_HTTP2_CONN_STATE_IS_CLOSING) { /* when it has written */
        client_linger_later(c);
        h2_close(c);
        return IS_OVER;
    }
    if (h2_gate_count_our_resets(c->h2, resets) == H2_FLOOD)
        return IS_FLOOD;
    return is_header_bomb(c) ? flood(c, "header fields") : GOES_ON;
}

/* The head of a request whose body is to come. */
static bool is_after_open_head(const struct client_connection *c)
{
    const struct h2_gate *gate = c->h2;
    return (gate->frame.type == H2_HEADERS || gate->frame.type == H2_CONTINUATION) &&
           h2_gate_is_between_frames(gate) && !gate->is_in_block && !gate->block_ends_stream;
}

/* libh2o takes what is in the input. */
static enum outcome give(struct client_connection *c)
{
    bool freed = false;
    uint64_t resets = resets_by_libh2o(c);
    if (c->sock->input->size == 0)
        return GOES_ON;
    if (c->h2->frame.type == H2_WINDOW_UPDATE || c->h2->frame.type == H2_SETTINGS)
        protect_ended_streams(c);
    c->h2_is_open = c->h2->preface_left == 0;
    c->freed = &freed;
    h2_call_libh2o(c, NULL);
    if (freed)
        return IS_OVER;
    c->freed = NULL;
    h2_account(c);
    enum outcome outcome = judge(c, resets_by_libh2o(c) - resets);
    if (outcome == GOES_ON && is_after_open_head(c))
        h2_meet_expectation(c);
    return outcome;
}

/* --- the input --- */

static enum outcome append(struct client_connection *c, const void *bytes, size_t count)
{
    h2o_iovec_t room = h2o_buffer_reserve(&c->sock->input, count);
    if (!room.base)
        return flood(c, "memory");
    memcpy(room.base, bytes, count);
    c->sock->input->size += count;
    return GOES_ON;
}

static enum outcome meet(struct client_connection *c, bool fits)
{
    enum outcome outcome = give(c); /* all that came before */
    if (outcome != GOES_ON)
        return outcome;
    switch (h2_meet(c, fits)) {
    case H2_CLOSE:
        h2_close(c);
        return IS_OVER;
    case H2_DROP:
        h2_account(c); /* what was reserved for it is free again */
        return GOES_ON;
    case H2_PASS:
        break;
    }
    return append(c, c->h2->header, H2_HEADER_BYTES);
}

static enum outcome take_header(struct client_connection *c, bool looks)
{
    bool fits = client_reserve(c, c->bodies_bytes + c->h2->body_bytes);
    return looks || !fits ? meet(c, fits) : append(c, c->h2->header, H2_HEADER_BYTES);
}

static bool is_end_of_piece(const struct client_connection *c)
{
    return h2_gate_is_between_frames(c->h2) &&
           (c->sock->input->size >= PIECE_BYTES || is_after_long_block(c) ||
            is_after_open_head(c) ||
            !h2o_linklist_is_empty(&h2_conn_of(c)->_write.streams_to_proceed));
}

/* Of a frame that libh2o is not to see nothing is kept. */
static bool drop_payload(struct client_connection *c, slice *bytes)
{
    size_t count = c->h2_drop_left < bytes->len ? c->h2_drop_left : bytes->len;
    c->h2_drop_left -= count;
    *bytes = slice_from(*bytes, count);
    return count > 0;
}

static enum outcome take_step(struct client_connection *c, slice *bytes)
{
    slice before = *bytes;
    enum outcome outcome = GOES_ON;
    if (drop_payload(c, bytes))
        return GOES_ON;
    enum h2_verdict verdict = h2_gate_feed(c->h2, bytes, client_now(c), c->sock->bytes_written);
    if (verdict == H2_FLOOD)
        return IS_FLOOD;
    if (verdict != H2_FINE)
        outcome = take_header(c, verdict == H2_LOOK);
    else if (c->h2->header_bytes == 0) /* a header is kept by the gate until it is complete */
        outcome = append(c, before.ptr, before.len - bytes->len);
    return outcome == GOES_ON && is_end_of_piece(c) ? give(c) : outcome;
}

bool h2_hand_over(struct client_connection *c, size_t fresh)
{
    h2o_buffer_t *input = c->sock->input;
    enum outcome outcome = GOES_ON;
    if (fresh == 0)
        return true;
    char *copy = mem_grow(NULL, fresh);
    slice bytes = slice_of(copy, fresh);
    memcpy(copy, input->bytes + input->size - fresh, fresh);
    input->size -= fresh;
    while (bytes.len && outcome == GOES_ON)
        outcome = take_step(c, &bytes);
    free(copy);
    if (outcome == GOES_ON)
        outcome = give(c);
    else if (outcome == IS_FLOOD && !c->h2_is_open) /* else it could not say GOAWAY */
        outcome = give(c) == IS_OVER ? IS_OVER : IS_FLOOD;
    return outcome != IS_FLOOD;
}
