/*
 * HTTP/1: stands between the socket and libh2o. libh2o is given one complete, checked request at a
 * time (head and body, nothing behind it); what is wrong is answered here, so that it is logged and
 * framed as ours. The bytes stay in the socket's input buffer: nothing is copied unless requests
 * are pipelined.
 *
 * libh2o sets its own read callback anew after each answer. Between that and the moment when ours
 * is put in front again (a zero timeout) the socket is told not to read, so no byte slips by.
 */
#include "edge/http/front_internal.h"

#include "base/must.h"

#include <stdlib.h>
#include <unistd.h>

/*
 * More than this behind an unanswered request is no pipelining: the connection ends after it. What
 * is kept is copied once per request in it, so the limit also bounds that work.
 */
enum { SURPLUS_MAX_BYTES = 64 * 1024 };

static void advance(struct client_connection *c);

static slice input_of(const struct client_connection *c)
{
    return slice_of(c->sock->input->bytes, c->sock->input->size);
}

/* --- refusing --- */

static void on_refusal_written(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    if (err)
        client_close(c);
    else
        client_close_lingering(c);
}

static void write_refusal(struct client_connection *c)
{
    c->answer = mem_alloc(ANSWER_MAX_BYTES);
    h2o_iovec_t bytes = h2o_iovec_init(c->answer, front_answer_write(c, c->answer));
    h2o_socket_write(c->sock, &bytes, 1, on_refusal_written);
}

void gate_refuse(struct client_connection *c, unsigned status, const char *detail)
{
    front_request_id(c->owner, c->refused_id);
    front_report(c, status, slice_of_string(detail), slice_of(c->refused_id, REQUEST_ID_BYTES));
    client_move(c, PHASE_REFUSING);
    h2o_socket_read_stop(c->sock);
    c->refused_status = status;
    c->refused_detail = detail;
    if (!c->continue_in_flight)
        write_refusal(c);
}

/* --- 100 Continue --- */

static void on_continue_written(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    c->continue_in_flight = false;
    if (err)
        client_close(c);
    else if (c->phase == PHASE_REFUSING)
        write_refusal(c);
    else
        advance(c);
}

/* The body has not begun: tell the client to send it. */
static void send_continue(struct client_connection *c)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    h2o_iovec_t bytes = h2o_iovec_init(text, sizeof(text) - 1);
    c->continue_is_wanted = false;
    c->continue_in_flight = true;
    h2o_socket_write(c->sock, &bytes, 1, on_continue_written);
}

/* --- handing a request over --- */

static void keep_surplus(struct client_connection *c, slice surplus)
{
    if (surplus.len == 0)
        return;
    if (surplus.len > SURPLUS_MAX_BYTES) {
        c->keep_alive = false;
        return;
    }
    c->surplus = mem_alloc(surplus.len);
    memcpy(c->surplus, surplus.ptr, surplus.len);
    c->surplus_bytes = surplus.len;
}

static void hand_over(struct client_connection *c, size_t bytes)
{
    if (c->continue_in_flight)
        return; /* libh2o would write into our write: on_continue_written() comes back here */
    keep_surplus(c, slice_from(input_of(c), bytes));
    c->sock->input->size = bytes;
    c->requests++;
    c->client_is_gone = false;
    client_move(c, PHASE_BUSY);
    c->h2o_read(c->sock, NULL);
}

/* --- the body --- */

static void refuse_too_large(struct client_connection *c)
{
    gate_refuse(c, 413, "the request body is too large");
}

/* What has arrived counts, not what is announced: who only announces takes nothing from others. */
static void refuse_for_now(struct client_connection *c)
{
    gate_refuse(c, 503, "too many request bodies at a time");
}

static void take_counted_body(struct client_connection *c)
{
    size_t total = c->head_bytes + (size_t)c->content_length, have = c->sock->input->size;
    if (!client_reserve(c, (have < total ? have : total) - c->head_bytes))
        refuse_for_now(c);
    else if (have >= total)
        hand_over(c, total);
    else if (c->continue_is_wanted && have == c->head_bytes)
        send_continue(c);
}

static void take_chunked_body(struct client_connection *c)
{
    size_t used;
    uint64_t limit = c->owner->front->policy->limits.request_body_bytes;
    slice fresh = slice_from(input_of(c), c->chunks_seen);
    if (c->continue_is_wanted && fresh.len == 0 && c->chunks_seen == c->head_bytes) {
        send_continue(c);
        return;
    }
    enum chunk_verdict verdict = chunk_scan(&c->chunks, fresh, &used);
    if (verdict == CHUNK_BAD) {
        gate_refuse(c, 400, "the chunked body is malformed");
        return;
    }
    c->chunks_seen += used;
    /* framing of one-byte chunks may not hide a body many times the limit */
    if (c->chunks.data_bytes > limit || (c->chunks_seen - c->head_bytes) / 8 > limit + 8192)
        refuse_too_large(c);
    else if (!client_reserve(c, c->chunks_seen - c->head_bytes))
        refuse_for_now(c);
    else if (verdict == CHUNK_DONE)
        hand_over(c, c->chunks_seen);
}

static void take_body(struct client_connection *c)
{
    switch (c->body) {
    case HEAD_BODY_NONE:
        hand_over(c, c->head_bytes);
        break;
    case HEAD_BODY_LENGTH:
        take_counted_body(c);
        break;
    case HEAD_BODY_CHUNKED:
        take_chunked_body(c);
        break;
    }
}

/* --- the head --- */

/* Cuts `cut`, a part of the head, out of the input. */
static void cut_out(struct client_connection *c, slice cut)
{
    h2o_buffer_t *input = c->sock->input;
    char *start = input->bytes + (cut.ptr - input->bytes), *rest = start + cut.len;
    memmove(start, rest, (size_t)(input->bytes + input->size - rest));
    input->size -= cut.len;
    c->head_bytes -= cut.len;
}

/* Absolute-form becomes origin-form (RFC 9112 §3.2.2: we must accept it). */
static void cut_target_prefix(struct client_connection *c, const struct head *head)
{
    slice prefix = slice_until(head->target, head->target_prefix);
    if (prefix.len == 0)
        return;
    if (head->needs_slash) {
        prefix.len--;
        c->sock->input->bytes[prefix.ptr + prefix.len - c->sock->input->bytes] = '/';
    }
    cut_out(c, prefix);
}

/* libh2o takes white space behind a length for a part of it: it is moved to the front. */
static void align_framing(struct client_connection *c, const struct head *head)
{
    if (head->framing_room.len == 0)
        return;
    h2o_buffer_t *input = c->sock->input;
    char *room = input->bytes + (head->framing_room.ptr - input->bytes);
    size_t blanks = head->framing_room.len - head->framing.len;
    memmove(room + blanks, head->framing.ptr, head->framing.len);
    memset(room, ' ', blanks);
}

/* libh2o would answer Expect itself, and write between our writes: we do, and it sees none. */
static bool take_expect(struct client_connection *c, const struct head *head)
{
    if (!head->expect.ptr)
        return true;
    if (!slice_equal_nocase(head->expect, SLICE("100-continue"))) {
        gate_refuse(c, 417, "only the expectation 100-continue is understood");
        return false;
    }
    c->continue_is_wanted = head->minor > 0 && head->body != HEAD_BODY_NONE;
    cut_out(c, head->expect_line);
    return true;
}

static bool take_framing(struct client_connection *c, const struct head *head)
{
    c->body = head->body;
    c->content_length = head->content_length;
    c->keep_alive =
        head->minor > 0 ? !head->wants_close : head->wants_keep_alive && !head->wants_close;
    if (head->body == HEAD_BODY_CHUNKED)
        c->keep_alive = false; /* no second request behind a framing that others may read apart */
    if (head->content_length > c->owner->front->policy->limits.request_body_bytes) {
        refuse_too_large(c);
        return false;
    }
    return true;
}

static void accept_head(struct client_connection *c, const struct head *head)
{
    c->head_bytes = head->bytes;
    c->continue_is_wanted = false;
    align_framing(c, head);
    if (!take_framing(c, head) || !take_expect(c, head))
        return;
    cut_target_prefix(c, head);
    c->chunks = (struct chunk_scan){0};
    c->chunks_seen = c->head_bytes;
    c->upload = (struct stall){.since = client_now(c)};
    client_move(c, PHASE_BODY);
}

static void take_head(struct client_connection *c)
{
    const struct head_limits *limits = &c->owner->front->head_limits;
    struct head head = {0};
    struct head_refusal refusal;
    size_t bytes = 0;
    enum head_verdict verdict = head_scan(&c->scan, input_of(c), limits, &bytes, &refusal);
    if (verdict == HEAD_OK)
        verdict = head_check(slice_until(input_of(c), bytes), limits, &head, &refusal);
    c->is_head = slice_equal(head.method, SLICE("HEAD"));
    if (verdict == HEAD_OK)
        accept_head(c, &head);
    else if (verdict == HEAD_REFUSED)
        gate_refuse(c, refusal.status, refusal.detail);
}

/* RFC 9112 §2.2: one empty line in front of a request line is ignored, whether the rest of the
 * request has come already or not. False: wait for more. */
static bool begin_head(struct client_connection *c)
{
    if (slice_equal(input_of(c), SLICE("\r")))
        return false;
    if (!c->line_was_skipped && slice_starts_with(input_of(c), SLICE("\r\n"))) {
        c->line_was_skipped = true;
        h2o_buffer_consume(&c->sock->input, 2);
    }
    if (c->sock->input->size == 0)
        return false;
    c->line_was_skipped = false;
    c->scan = (struct head_scan){0};
    client_move(c, PHASE_HEAD);
    return true;
}

/* Goes as far as the input allows. `c` may be gone afterwards. */
static void advance(struct client_connection *c)
{
    if (c->phase == PHASE_IDLE && !begin_head(c))
        return;
    if (c->phase == PHASE_HEAD)
        take_head(c);
    if (c->phase == PHASE_BODY)
        take_body(c);
}

static void on_read(h2o_socket_t *sock, const char *err)
{
    struct client_connection *c = sock->on_close.data;
    if (err)
        client_close(c);
    else
        advance(c);
}

/* --- from one request to the next --- */

/* False: no memory, and the surplus is lost. */
static bool give_surplus(struct client_connection *c)
{
    if (!c->surplus)
        return true;
    h2o_iovec_t room = h2o_buffer_reserve(&c->sock->input, c->surplus_bytes);
    if (room.base) {
        memcpy(room.base, c->surplus, c->surplus_bytes);
        c->sock->input->size += c->surplus_bytes;
    }
    free(c->surplus);
    c->surplus = NULL;
    c->surplus_bytes = 0;
    return room.base != NULL;
}

/* libh2o waits for the next request: our callback goes in front of its own again. */
static void resume(h2o_timeout_entry_t *entry)
{
    struct client_connection *c = container_of(entry, struct client_connection, resume);
    if (!h2o_socket_is_reading(c->sock)) { /* it closed instead; TLS may still be flushing */
        client_move(c, PHASE_CLOSED);
        return;
    }
    h2o_socket_dont_read(c->sock, 0);
    c->h2o_read = c->sock->_cb.read;
    c->sock->_cb.read = on_read;
    client_move(c, PHASE_IDLE);
    if (!give_surplus(c))
        client_close(c);
    else
        advance(c);
}

void gate_request_ended(struct client_connection *c, bool will_close, bool is_upgraded)
{
    client_account(c, 0);
    if (c->phase != PHASE_BUSY)
        return;
    if (is_upgraded) {
        client_move(c, PHASE_TUNNEL);
        give_surplus(c); /* bytes of the tunnel; without memory for them it breaks, and closes */
        return;
    }
    char next;
    if (will_close &&
        (c->surplus || recv(h2o_socket_get_fd(c->sock), &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0))
        client_linger_later(c); /* closing with unread input would reset the connection */
    client_move(c, PHASE_BETWEEN);
    h2o_socket_dont_read(c->sock, 1);
    h2o_timeout_link(c->owner->loop->evloop, &c->owner->loop->context.zero_timeout, &c->resume);
}

void gate_begin(struct client_connection *c)
{
    h2o_context_t *context = &c->owner->loop->context;
    h2o_accept_ctx_t accept = {.ctx = context, .hosts = context->globalconf->hosts};
    size_t early = c->sock->input->size; /* came with the handshake: must pass the gate */
    c->resume.cb = resume;
    c->sock->input->size = 0;
    h2o_http1_accept(&accept, c->sock, *h2o_get_timestamp(context, NULL, NULL));
    c->sock->input->size = early;
    resume(&c->resume);
}
