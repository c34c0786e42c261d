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
enum frame_type {
    FRAME_DATA,
    FRAME_HEADERS,
    FRAME_PRIORITY,
    FRAME_RST_STREAM,
    FRAME_SETTINGS,
    FRAME_PUSH_PROMISE,
    FRAME_PING,
    FRAME_GOAWAY,
    FRAME_WINDOW_UPDATE,
    FRAME_CONTINUATION
};
enum { FLAG_END_STREAM = 1, FLAG_END_HEADERS = 4 };

void h2_gate_init(struct h2_gate *gate, size_t header_bytes, mono_time now)
{
    *gate = (struct h2_gate){
        .preface_left = PREFACE_BYTES, .second = now, .block_max_bytes = header_bytes};
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
    gate->control = gate->resets = gate->window_updates = 0;
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
    gate->is_in_block = !(flags & FLAG_END_HEADERS);
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
    gate->uploads[gate->upload_count++] = (struct h2_upload){.stream = stream};
    return H2_FINE;
}

static void count_data(struct h2_gate *gate, uint32_t stream, uint32_t length, bool is_last)
{
    struct h2_upload *upload = find_upload(gate, stream);
    gate->data_bytes += length;
    if (!upload)
        return;
    upload->bytes += length;
    gate->upload_bytes += length;
    if (is_last)
        end_upload(gate, stream);
}

/* --- one frame --- */

static uint32_t stream_of(const struct h2_gate *gate)
{
    const uint8_t *id = gate->header + 5;
    return (uint32_t)(id[0] & 0x7f) << 24 | (uint32_t)id[1] << 16 | (uint32_t)id[2] << 8 | id[3];
}

static enum h2_verdict begin_block(struct h2_gate *gate, uint32_t length, uint8_t flags)
{
    gate->block_bytes = 0;
    gate->continuations = 0;
    if (flags & FLAG_END_STREAM)
        end_upload(gate, stream_of(gate)); /* trailers, or there is no body */
    else if (begin_upload(gate, stream_of(gate)) == H2_FLOOD)
        return H2_FLOOD;
    return count_block(gate, length, flags);
}

static enum h2_verdict count_reset(struct h2_gate *gate)
{
    end_upload(gate, stream_of(gate));
    return ++gate->resets > H2_RESETS_PER_SECOND ? flood(gate, "stream resets") : H2_FINE;
}

static enum h2_verdict count_frame(struct h2_gate *gate, uint32_t length, uint64_t sent)
{
    uint8_t flags = gate->header[4];
    switch (gate->header[3]) {
    case FRAME_DATA:
        count_data(gate, stream_of(gate), length, flags & FLAG_END_STREAM);
        /* an empty one that ends nothing costs us work and the sender nothing */
        return length == 0 && !(flags & FLAG_END_STREAM) ? count_control(gate) : H2_FINE;
    case FRAME_HEADERS:
        return begin_block(gate, length, flags);
    case FRAME_CONTINUATION:
        if (++gate->continuations > H2_CONTINUATIONS_PER_BLOCK)
            return flood(gate, "continuation frames");
        return count_block(gate, length, flags);
    case FRAME_RST_STREAM:
        return count_reset(gate);
    case FRAME_WINDOW_UPDATE:
        return count_window_update(gate, sent);
    default:
        return count_control(gate);
    }
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
    } else {
        taken = smaller(sizeof(gate->header) - gate->header_bytes, bytes.len);
        memcpy(gate->header + gate->header_bytes, bytes.ptr, taken);
        gate->header_bytes += (unsigned)taken;
    }
    return taken;
}

enum h2_verdict h2_gate_feed(struct h2_gate *gate, slice bytes, mono_time now, uint64_t sent)
{
    begin_second(gate, now, sent);
    while (bytes.len) {
        bytes = slice_from(bytes, take_bytes(gate, bytes));
        if (gate->header_bytes < sizeof(gate->header))
            continue;
        gate->header_bytes = 0;
        uint32_t length = (uint32_t)gate->header[0] << 16 | (uint32_t)gate->header[1] << 8 |
                          (uint32_t)gate->header[2];
        gate->payload_left = length;
        if (count_frame(gate, length, sent) == H2_FLOOD)
            return H2_FLOOD;
    }
    return H2_FINE;
}
