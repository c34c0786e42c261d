/*
 *     +-----------------+---------+---------+--------------------------+---------+
 *     | length (24 bit) | type  8 | flags 8 | R, stream id   (32 bit)  | payload |
 *     +-----------------+---------+---------+--------------------------+---------+
 *
 * Only headers are looked at; payloads are skipped. What is malformed is left to libh2o, which ends
 * the connection.
 */
#include "edge/http/h2_gate.h"

enum { PREFACE_BYTES = 24, SECOND_MS = 1000 };

void h2_gate_init(struct h2_gate *gate, size_t header_bytes, uint64_t body_bytes, mono_time now)
{
    *gate = (struct h2_gate){.preface_left = PREFACE_BYTES,
                             .second = now,
                             .block_max_bytes = header_bytes,
                             .upload_max_bytes = body_bytes};
}

static enum h2_verdict flood(struct h2_gate *gate, const char *why)
{
    gate->why = why;
    return H2_FLOOD;
}

static void begin_second(struct h2_gate *gate, mono_time now, uint64_t sent)
{
    if (mono_since(now, gate->second).ms < SECOND_MS)
        return;
    gate->second = now;
    gate->sent_before = sent;
    gate->data_before = gate->data_bytes;
    gate->control = gate->resets = gate->window_updates = 0;
    gate->our_resets = 0;
}

static enum h2_verdict count_control(struct h2_gate *gate)
{
    return ++gate->control > H2_CONTROL_PER_SECOND ? flood(gate, "control frames") : H2_FINE;
}

static enum h2_verdict count_window_update(struct h2_gate *gate, uint64_t sent)
{
    uint64_t granted = (sent - gate->sent_before) / H2_BYTES_PER_WINDOW_UPDATE;
    if (++gate->window_updates <= granted)
        return H2_FINE;
    return count_control(gate);
}

static enum h2_verdict count_block(struct h2_gate *gate, uint32_t length, uint8_t flags)
{
    gate->block_bytes += length;
    gate->is_in_block = !(flags & H2_END_HEADERS);
    return gate->block_bytes > gate->block_max_bytes ? flood(gate, "header block size") : H2_FINE;
}

/* --- bodies under way --- */

static struct h2_upload *find_upload(struct h2_gate *gate, uint32_t stream)
{
    for (size_t i = 0; i < gate->upload_count; i++)
        if (gate->uploads[i].stream == stream)
            return &gate->uploads[i];
    return NULL;
}

static void end_upload(struct h2_gate *gate, uint32_t stream)
{
    struct h2_upload *upload = find_upload(gate, stream);
    if (!upload)
        return;
    gate->upload_bytes -= upload->bytes;
    *upload = gate->uploads[--gate->upload_count];
}

static enum h2_verdict begin_upload(struct h2_gate *gate, uint32_t stream)
{
    if (find_upload(gate, stream))
        return H2_FINE;
    if (gate->upload_count == H2_UPLOADS_MAX)
        return flood(gate, "request bodies");
    gate->upload_runs += gate->upload_count == 0;
    gate->uploads[gate->upload_count++] = (struct h2_upload){.stream = stream};
    return H2_FINE;
}

static enum h2_verdict count_data(struct h2_gate *gate, uint32_t stream, uint32_t length)
{
    struct h2_upload *upload = find_upload(gate, stream);
    gate->data_bytes += length;
    if (!upload)
        return h2_gate_refusal(gate, stream) ? H2_LOOK : H2_FINE;
    bool is_first = upload->bytes == 0;
    upload->bytes += length;
    gate->upload_bytes += length;
    gate->body_bytes = length;
    bool is_too_large = upload->bytes > gate->upload_max_bytes;
    return is_first || is_too_large ? H2_LOOK : H2_FINE;
}

/* --- refused bodies --- */

/* H2_REFUSED_MAX: there is none. */
static size_t find_refused(const struct h2_gate *gate, uint32_t stream)
{
    size_t i = 0;
    while (i < H2_REFUSED_MAX && gate->refused[i].stream != stream)
        i++;
    return i;
}

void h2_gate_refuse(struct h2_gate *gate, uint32_t stream, unsigned status)
{
    end_upload(gate, stream);
    gate->refused[gate->refused_next++ % H2_REFUSED_MAX] = (struct h2_refused){stream, status};
}

unsigned h2_gate_refusal(const struct h2_gate *gate, uint32_t stream)
{
    size_t i = stream ? find_refused(gate, stream) : H2_REFUSED_MAX;
    return i < H2_REFUSED_MAX ? gate->refused[i].status : 0;
}

void h2_gate_forget(struct h2_gate *gate, uint32_t stream)
{
    size_t i = find_refused(gate, stream);
    if (i < H2_REFUSED_MAX)
        gate->refused[i] = (struct h2_refused){0};
}

/* --- one frame --- */

static struct h2_frame read_header(const uint8_t header[H2_HEADER_BYTES])
{
    const uint8_t *id = header + 5;
    return (struct h2_frame){.length =
                                 (uint32_t)header[0] << 16 | (uint32_t)header[1] << 8 | header[2],
                             .type = header[3],
                             .flags = header[4],
                             .stream = (uint32_t)(id[0] & 0x7f) << 24 | (uint32_t)id[1] << 16 |
                                       (uint32_t)id[2] << 8 | id[3]};
}

static enum h2_verdict begin_block(struct h2_gate *gate, const struct h2_frame *frame)
{
    bool is_trailers = find_upload(gate, frame->stream) != NULL;
    gate->block_bytes = 0;
    gate->continuations = 0;
    gate->block_ends_stream = frame->flags & H2_END_STREAM; /* trailers, or there is no body */
    if (!gate->block_ends_stream && begin_upload(gate, frame->stream) == H2_FLOOD)
        return H2_FLOOD;
    if (count_block(gate, frame->length, frame->flags) == H2_FLOOD)
        return H2_FLOOD;
    return is_trailers ? H2_LOOK : H2_FINE;
}

static enum h2_verdict count_continuation(struct h2_gate *gate, const struct h2_frame *frame)
{
    if (++gate->continuations > H2_CONTINUATIONS_PER_BLOCK)
        return flood(gate, "continuation frames");
    if (count_block(gate, frame->length, frame->flags) == H2_FLOOD)
        return H2_FLOOD;
    return H2_LOOK;
}

static enum h2_verdict compare_resets(struct h2_gate *gate)
{
    uint64_t granted = (gate->data_bytes - gate->data_before) / H2_DATA_BYTES_PER_RESET;
    uint64_t ours = gate->our_resets > granted ? gate->our_resets - granted : 0;
    return gate->resets + ours > H2_RESETS_PER_SECOND ? flood(gate, "stream resets") : H2_FINE;
}

static enum h2_verdict count_reset(struct h2_gate *gate, uint32_t stream)
{
    end_upload(gate, stream);
    h2_gate_forget(gate, stream);
    gate->resets++;
    return compare_resets(gate);
}

static enum h2_verdict count_frame(struct h2_gate *gate, const struct h2_frame *frame,
                                   uint64_t sent)
{
    bool is_last = frame->flags & H2_END_STREAM;
    gate->body_bytes = 0;
    switch (frame->type) {
    case H2_DATA:
        /* an empty one that ends nothing costs us work and the sender nothing */
        if (frame->length == 0 && !is_last && count_control(gate) == H2_FLOOD)
            return H2_FLOOD;
        return count_data(gate, frame->stream, frame->length);
    case H2_HEADERS:
        return begin_block(gate, frame);
    case H2_CONTINUATION:
        return count_continuation(gate, frame);
    case H2_RST_STREAM:
        return count_reset(gate, frame->stream);
    case H2_WINDOW_UPDATE:
        return count_window_update(gate, sent);
    default:
        return count_control(gate);
    }
}

/* All of it is here: what is the last of a stream ends the body. */
static void end_frame(struct h2_gate *gate)
{
    const struct h2_frame *frame = &gate->frame;
    bool is_last = frame->flags & H2_END_STREAM;
    if (frame->type != H2_DATA)
        is_last = (frame->type == H2_HEADERS || frame->type == H2_CONTINUATION) &&
                  gate->block_ends_stream && !gate->is_in_block;
    if (is_last)
        end_upload(gate, frame->stream);
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Takes bytes of the preface, of a payload or of a header; returns how many. */
static size_t take_bytes(struct h2_gate *gate, slice bytes)
{
    size_t taken;
    if (gate->preface_left) {
        taken = smaller(gate->preface_left, bytes.len);
        gate->preface_left -= taken;
    } else if (gate->payload_left) {
        taken = smaller(gate->payload_left, bytes.len);
        gate->payload_left -= (uint32_t)taken;
        if (gate->payload_left == 0)
            end_frame(gate);
    } else {
        taken = smaller(sizeof(gate->header) - gate->header_bytes, bytes.len);
        memcpy(gate->header + gate->header_bytes, bytes.ptr, taken);
        gate->header_bytes += (unsigned)taken;
    }
    return taken;
}

enum h2_verdict h2_gate_feed(struct h2_gate *gate, slice *bytes, mono_time now, uint64_t sent)
{
    begin_second(gate, now, sent);
    *bytes = slice_from(*bytes, take_bytes(gate, *bytes));
    if (gate->header_bytes < sizeof(gate->header))
        return H2_FINE;
    gate->header_bytes = 0;
    gate->frame = read_header(gate->header);
    gate->frames++;
    gate->payload_left = gate->frame.length;
    enum h2_verdict verdict = count_frame(gate, &gate->frame, sent);
    if (gate->payload_left == 0)
        end_frame(gate);
    return verdict == H2_FINE ? H2_HEADER : verdict;
}

bool h2_gate_is_between_frames(const struct h2_gate *gate)
{
    return gate->preface_left == 0 && gate->payload_left == 0 && gate->header_bytes == 0;
}

uint64_t h2_gate_arrived(const struct h2_gate *gate)
{
    return gate->data_bytes - (gate->frame.type == H2_DATA ? gate->payload_left : 0);
}

enum h2_verdict h2_gate_count_our_resets(struct h2_gate *gate, uint64_t resets)
{
    gate->our_resets += resets;
    return compare_resets(gate);
}
