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
 * so that the rest is at most 16 MiB; none of it is kept. A body for which there is no room in
 * memory (limits.request_bodies) is met in the same way, with a 503: its stream's matter alone.
 * But for trailers behind a body that was refused: libh2o takes them as an error of the connection,
 * and they cannot be kept from it, because it keeps its table of fields by them (RFC 7541 §2.2).
 *
 * CONTINUATION behind its GOAWAY puts it in an endless loop: the connection is closed.
 */
#include "edge/http/h2_streams.h"

enum { WINDOW_BYTES = 16777216, ERROR_NONE = 0 };

/* --- refused bodies --- */

unsigned h2_body_refusal(const struct client_connection *c, const h2o_req_t *req)
{
    const h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);
    return h2_gate_refusal(c->h2, stream->stream_id);
}

static bool announces_too_much(const struct client_connection *c, const h2o_http2_stream_t *stream)
{
    size_t announced = stream->_expected_content_length;
    return announced != SIZE_MAX && announced > c->h2->upload_max_bytes;
}

/* How much of a padded frame is padding is not known yet: h2_check() finds what passes so. */
static bool is_too_large(const struct client_connection *c, const h2o_http2_stream_t *stream)
{
    const struct h2_frame *frame = &c->h2->frame;
    uint64_t max = c->h2->upload_max_bytes;
    bool is_padded = frame->flags & H2O_HTTP2_FRAME_FLAG_PADDED;
    return announces_too_much(c, stream) ||
           stream->_req_body->size + frame->length > max + (is_padded ? H2_PADDING_MAX_BYTES : 0);
}

static void answer_without_body(struct client_connection *c, h2o_http2_stream_t *stream)
{
    h2o_http2_conn_t *conn = h2_conn_of(c);
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
    h2o_http2_conn_t *conn = h2_conn_of(c);
    h2_gate_forget(c->h2, stream);
    h2o_http2__encode_rst_stream_frame(&conn->_write.buf, stream, ERROR_NONE);
    h2o_http2_conn_request_write(conn);
}

static void drop_frame(struct client_connection *c)
{
    const struct h2_frame *frame = &c->h2->frame;
    c->h2->payload_left = 0;
    c->h2_drop_left = frame->length;
    renew_window(h2_conn_of(c), frame->length);
    if (frame->flags & H2_END_STREAM)
        h2_gate_forget(c->h2, frame->stream);
    else if (!h2_find_stream(c, frame->stream))
        stop_sender(c, frame->stream);
}

/* True: libh2o is not to see the frame. */
static bool meet_data(struct client_connection *c, bool fits)
{
    uint32_t id = c->h2->frame.stream;
    if (h2_gate_refusal(c->h2, id))
        return true;
    h2o_http2_conn_t *conn = h2_conn_of(c);
    if (conn->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED || id > conn->pull_stream_ids.max_open)
        return false; /* libh2o ignores it, or knows the error */
    h2o_http2_stream_t *stream = h2_find_stream(c, id);
    bool awaits_body = stream && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY;
    bool is_large = awaits_body && is_too_large(c, stream);
    if (awaits_body && !is_large && fits)
        return false;
    /* otherwise its answer has begun without the body, and has perhaps ended already */
    h2_gate_refuse(c->h2, id, is_large ? 413 : 503);
    if (awaits_body)
        answer_without_body(c, stream);
    return true;
}

/* Who waits to hear that the body is wanted is told so, or that it is not (RFC 9110 §10.1.1). */
void h2_meet_expectation(struct client_connection *c)
{
    const struct fields none = {0};
    h2o_http2_stream_t *stream = h2_find_stream(c, c->h2->frame.stream);
    if (!stream || stream->state != H2O_HTTP2_STREAM_STATE_RECV_BODY ||
        !h2_expects_continue(&stream->req))
        return;
    if (!announces_too_much(c, stream)) {
        h2_send_interim(&stream->req, 100, &none);
        return;
    }
    h2_gate_refuse(c->h2, stream->stream_id, 413);
    answer_without_body(c, stream);
}

/* --- one frame --- */

static void meet_trailers(struct client_connection *c)
{
    h2o_http2_stream_t *stream = h2_find_stream(c, c->h2->frame.stream);
    if (stream && stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY)
        h2_mark_trailers(&stream->req);
}

enum h2_meeting h2_meet(struct client_connection *c, bool fits)
{
    switch (c->h2->frame.type) {
    case H2_DATA:
        if (!meet_data(c, fits))
            return H2_PASS;
        drop_frame(c);
        return H2_DROP;
    case H2_HEADERS:
        meet_trailers(c);
        return H2_PASS;
    case H2_CONTINUATION:
        return h2_conn_of(c)->state >= H2O_HTTP2_CONN_STATE_HALF_CLOSED ? H2_CLOSE : H2_PASS;
    default:
        return H2_PASS;
    }
}
