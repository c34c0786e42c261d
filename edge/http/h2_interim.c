/*
 * Interim responses to HTTP/2 clients (RFC 9113 §8.1: HEADERS without END_STREAM in front of the
 * final ones).
 *
 * libh2o 2.2.5 has no call for them. But its response writer, h2o_hpack_flatten_response(), makes
 * just such a frame: it never sets END_STREAM, which goes out with the body. So the frame is
 * appended where the library itself collects what is to be written next, in the order of the
 * connection and of its HPACK table, and the library is asked to write. The headers of its inside
 * are installed with the package; the structs are those that it was built with.
 */
#include "edge/http/front_internal.h"

#include <h2o/http2_internal.h>
#include <h2o/version.h>

_Static_assert(H2O_LIBRARY_VERSION_MAJOR == 0 && H2O_LIBRARY_VERSION_MINOR == 13,
               "this reaches into libh2o 2.2: look at another version's inside first");

/* What already waits to be written says that the client does not read: hints would come late and
 * fill memory. */
enum { UNWRITTEN_MAX_BYTES = 32 * 1024 };

static bool is_wanted(const h2o_http2_conn_t *conn, const h2o_http2_stream_t *stream)
{
    return conn->state < H2O_HTTP2_CONN_STATE_IS_CLOSING &&
           (stream->state == H2O_HTTP2_STREAM_STATE_SEND_HEADERS ||
            stream->state == H2O_HTTP2_STREAM_STATE_RECV_BODY) && /* a 100 */
           conn->_write.buf->size <= UNWRITTEN_MAX_BYTES;
}

void h2_send_interim(h2o_req_t *req, unsigned status, const struct fields *fields)
{
    h2o_http2_conn_t *conn = (h2o_http2_conn_t *)req->conn;
    h2o_http2_stream_t *stream = container_of(req, h2o_http2_stream_t, req);
    h2o_res_t interim = {.status = (int)status};
    h2o_timestamp_t now;
    if (!is_wanted(conn, stream))
        return;
    for (size_t i = 0; i < fields->count; i++) {
        const struct field *field = &fields->at[i];
        h2o_add_header_by_str(&req->pool, &interim.headers, field->name.ptr, field->name.len, 1,
                              NULL, field->value.ptr, field->value.len);
    }
    h2o_get_timestamp(conn->super.ctx, &req->pool, &now); /* it writes a Date, allowed in a 1xx */
    h2o_hpack_flatten_response(&conn->_write.buf, &conn->_output_header_table, stream->stream_id,
                               conn->peer_settings.max_frame_size, &interim, &now,
                               &conn->super.ctx->globalconf->server_name, SIZE_MAX);
    h2o_http2_conn_request_write(conn);
}
