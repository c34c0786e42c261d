/*
 * HTTP/2 between the gate that counts frames and libh2o: the few frames that libh2o 2.2.5 would
 * take wrongly are met here, one at a time, when it has taken all that came before them.
 *
 * Trailers become fields of the request there; so the place where they begin is marked, and
 * h2_check() cuts them off (RFC 9110 §6.5.1).
 *
 * A body over limits.request_body is reset there with REFUSED_STREAM, which says "send it again".
 * Instead the request is begun before its body has ended, as libh2o itself begins one whose fields
 * are malformed, and gets a 413; the rest of the body is thrown away here, and when it outlasts the
 * answer it is stopped by RST_STREAM NO_ERROR (RFC 9113 §8.1). The stream's window is not renewed,
 * so that the rest is at most 16 MiB; none of it is kept.
 *
 * CONTINUATION behind its GOAWAY puts it in an endless loop: the connection is closed.
 */
#include "edge/http/front_internal.h"

#include <h2o/http2_internal.h>
#include <stdlib.h>

enum { FRAME_HEADER_BYTES = 9, WINDOW_BYTES = 16777216, ERROR_NONE = 0 };

static h2o_http2_conn_t *conn_of(const struct client_connection *c)
{
    return c->sock->data;
}

/* --- streams --- */

static h2o_http2_scheduler_openref_t *ref_of_link(h2o_linklist_t *link)
{
    return container_of(link, h2o_http2_scheduler_openref_t, _all_link);
}

/* The next of a node's children, or of its parents'; NULL: that was the last. */
static h2o_http2_scheduler_openref_t *next_ref(h2o_http2_scheduler_node_t *node,
                                               h2o_linklist_t *link)
{
    while (link == &node->_all_refs) {
        if (!node->_parent)
            return NULL;
        link = container_of(node, h2o_http2_scheduler_openref_t, node)->_all_link.next;
        node = node->_parent;
    }
    return ref_of_link(link);
}

/* By way of the tree of priorities, which has each stream, at most 100 and the idle ones: the
 * layout of libh2o's table of streams is not in its headers. */
static h2o_http2_stream_t *find_stream(const struct client_connection *c, uint32_t id)
{
    h2o_http2_scheduler_node_t *node = &conn_of(c)->scheduler;
    for (;;) {
        h2o_http2_scheduler_openref_t *ref = next_ref(node, node->_all_refs.next);
        if (!ref)
            return NULL;
        h2o_http2_stream_t *stream = container_of(ref, h2o_http2_stream_t, _refs.scheduler);
        if (stream->stream_id == id)
            return stream;
        node = &ref->node;
    }
}

/* --- refused bodies --- */

bool h2_body_is_refused(const struct client_connection *c, const h2o_req_t *req)
{
    const h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);
    return h2_gate_is_refused(c->h2, stream->stream_id);
}

/* How much of a padded frame is padding is not known yet: h2_check() finds what passes so. */
static bool is_too_large(const struct client_connection *c, const h2o_http2_stream_t *stream)
{
    const struct h2_frame *frame = &c->h2->frame;
    uint64_t max = c->h2->upload_max_bytes, announced = stream->_expected_content_length;
    bool is_padded = frame->flags & H2O_HTTP2_FRAME_FLAG_PADDED;
    if (announced != SIZE_MAX && announced > max)
        return true;
    return stream->_req_body->size + frame->length > max + (is_padded ? H2_PADDING_MAX_BYTES : 0);
}

static void answer_without_body(struct client_connection *c, h2o_http2_stream_t *stream)
{
    h2o_http2_conn_t *conn = conn_of(c);
    h2o_buffer_dispose(&stream->_req_body);
    stream->_req_body = NULL;
    h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_REQ_PENDING);
    h2o_http2_stream_set_state(conn, stream, H2O_HTTP2_STREAM_STATE_SEND_HEADERS);
    h2o_process_request(&stream->req);
}

/* The window of the connection is for all streams. */
static void renew_window(h2o_http2_conn_t *conn, size_t bytes)
{
    h2o_http2_window_consume_window(&conn->_input_window, bytes);
    ssize_t left = h2o_http2_window_get_window(&conn->_input_window);
    if (left * 2 >= WINDOW_BYTES)
        return;
    h2o_http2_encode_window_update_frame(&conn->_write.buf, 0, (int32_t)(WINDOW_BYTES - left));
    h2o_http2_window_update(&conn->_input_window, WINDOW_BYTES - left);
    h2o_http2_conn_request_write(conn);
}

static void stop_sender(struct client_connection *c, uint32_t stream)
{
    h2o_http2_conn_t *conn = conn_of(c);
    h2_gate_forget(c->h2, stream);
    h2o_http2__encode_rst_stream_frame(&conn->_write.buf, stream, ERROR_NONE);
    h2o_http2_conn_request_write(conn);
}

static void drop_frame(struct client_connection *c)
{
    const struct h2_frame *frame = &c->h2->frame;
    c->h2->payload_left = 0;
    c->h2_drop_left = frame->length;
    renew_window(conn_of(c), frame->length);
    if (frame->flags & H2_END_STREAM)
        h2_gate_forget(c->h2, frame->stream);
    else if (!find_stream(c, frame->stream))
        stop_sender(c, frame->stream);
}

/* True: libh2o is not to see the frame. */
static bool meet_data(struct client_connection *c)
{
    uint32_t id = c->h2->frame.stream;
    if (h2_gate_is_refused(c->h2, id))
        return true;
    h2o_http2_stream_t *stream = find_stream(c, id);
    if (!stream || stream->state == H2O_HTTP2_STREAM_STATE_IDLE)
        return false; /* an error that libh2o knows */
    bool awaits_body = stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY;
    if (awaits_body && !is_too_large(c, stream))
        return false;
    h2_gate_refuse(c->h2, id);
    if (awaits_body)
        answer_without_body(c, stream);
    return true;
}

/* --- one frame --- */

static void meet_trailers(struct client_connection *c)
{
    h2o_http2_stream_t *stream = find_stream(c, c->h2->frame.stream);
    if (stream && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
        h2_mark_trailers(&stream->req);
}

enum meeting { PASS, DROP, CLOSE };

/* libh2o has taken all that came before this frame. */
static enum meeting meet_frame(struct client_connection *c)
{
    switch (c->h2->frame.type) {
    case H2_DATA:
        return meet_data(c) ? DROP : PASS;
    case H2_HEADERS:
        meet_trailers(c);
        return PASS;
    case H2_CONTINUATION:
        return conn_of(c)->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED ? CLOSE : PASS;
    default:
        return PASS;
    }
}

/* --- the input --- */

/* libh2o takes what is in the input. False: the connection is over, `c` perhaps gone. */
static bool give(struct client_connection *c)
{
    bool freed = false;
    if (c->sock->input->size == 0)
        return true;
    c->h2_is_open = c->h2->preface_left == 0;
    c->freed = &freed;
    c->h2o_read(c->sock, NULL);
    if (freed)
        return false;
    c->freed = NULL;
    return h2o_socket_is_reading(c->sock) && conn_of(c)->state < H2O_HTTP2_CONN_STATE_IS_CLOSING;
}

static void cut_front(struct client_connection *c, size_t bytes)
{
    h2o_buffer_consume(&c->sock->input, bytes);
}

/* Gives what stands in front of the last `count` bytes of the input. False: it is over. */
static bool give_all_but(struct client_connection *c, size_t count)
{
    h2o_buffer_t *input = c->sock->input;
    size_t before = input->size - count;
    if (before == 0)
        return true;
    char *kept = mem_alloc(count);
    memcpy(kept, input->bytes + before, count);
    input->size = before;
    bool goes_on = give(c) && c->sock->input->size == 0;
    if (goes_on) {
        h2o_iovec_t room = h2o_buffer_reserve(&c->sock->input, count);
        memcpy(room.base, kept, count);
        c->sock->input->size = count;
    }
    free(kept);
    return goes_on;
}

/* The gate has stopped behind a header; `rest` bytes follow it. False: the connection is over. */
static bool look(struct client_connection *c, size_t rest)
{
    if (!give_all_but(c, FRAME_HEADER_BYTES + rest))
        return false;
    switch (meet_frame(c)) {
    case CLOSE:
        h2_close(c);
        return false;
    case DROP:
        drop_frame(c);
        cut_front(c, FRAME_HEADER_BYTES);
        return true;
    case PASS:
        break;
    }
    return true;
}

/* Of a dropped frame nothing stands in the input but its payload. */
static size_t drop_payload(struct client_connection *c, size_t fresh)
{
    size_t bytes = c->h2_drop_left < fresh ? c->h2_drop_left : fresh;
    c->h2_drop_left -= bytes;
    cut_front(c, bytes);
    return bytes;
}

bool h2_hand_over(struct client_connection *c, size_t fresh)
{
    while (fresh > 0) {
        fresh -= drop_payload(c, fresh);
        if (fresh == 0)
            break; /* nothing may be left of the input, not even its place */
        h2o_buffer_t *input = c->sock->input;
        slice rest = slice_of(input->bytes + input->size - fresh, fresh);
        enum h2_verdict verdict = h2_gate_feed(c->h2, &rest, client_now(c), c->sock->bytes_written);
        if (verdict == H2_FLOOD || !h2_account_bodies(c))
            return false;
        fresh = rest.len;
        if (verdict == H2_LOOK && !look(c, fresh))
            return true;
    }
    give(c);
    return true;
}
