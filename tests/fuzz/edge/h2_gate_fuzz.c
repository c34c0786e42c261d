/*
 * The frame counter before HTTP/2: the same bytes in pieces mean the same and are looked at in the
 * same places, its book of uploads adds up, and a plain walk over the whole input finds the same
 * DATA bytes and no more control frames than are allowed. A body beyond the limit is refused, as
 * the front does it.
 *
 *   input = piece size, limit of a header block, bytes sent to the client, limit of a body (1 byte
 *           each, in units) frames behind the preface
 */
#include "edge/http/h2_gate.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>

enum { PREFACE_BYTES = 24, HEADER_BYTES = 9 };

struct setting {
    size_t block_bytes;
    uint64_t sent, body_bytes;
};

struct outcome {
    struct h2_gate gate;
    enum h2_verdict verdict; /* H2_FINE or H2_FLOOD */
    uint64_t looks;          /* number and frames, in order */
};

static void check_uploads(const struct h2_gate *gate)
{
    uint64_t sum = 0;
    MUST(gate->upload_count <= H2_UPLOADS_MAX);
    for (size_t i = 0; i < gate->upload_count; i++) {
        sum += gate->uploads[i].bytes;
        for (size_t j = 0; j < i; j++)
            MUST(gate->uploads[i].stream != gate->uploads[j].stream);
    }
    MUST(sum == gate->upload_bytes && sum <= gate->data_bytes);
}

static void look(struct outcome *o, const struct setting *setting)
{
    const struct h2_frame *frame = &o->gate.frame;
    bool is_data = frame->type == H2_DATA, is_last = frame->flags & H2_END_STREAM;
    MUST(is_data || frame->type == H2_HEADERS || frame->type == H2_CONTINUATION);
    o->looks = o->looks * 31 + frame->stream + frame->type * 7 + 1;
    if (is_data && frame->stream && !h2_gate_refusal(&o->gate, frame->stream) && !is_last &&
        frame->length > setting->body_bytes) {
        h2_gate_refuse(&o->gate, frame->stream, 413);
        MUST(h2_gate_refusal(&o->gate, frame->stream) == 413);
    } else if (is_data && is_last && h2_gate_refusal(&o->gate, frame->stream)) {
        h2_gate_forget(&o->gate, frame->stream);
    }
}

static void take_piece(struct outcome *o, slice piece, const struct setting *setting)
{
    static const mono_time now = {5000};
    char *copy = malloc(piece.len); /* its end is watched */
    MUST(copy);
    memcpy(copy, piece.ptr, piece.len);
    slice rest = slice_of(copy, piece.len);
    do {
        size_t before = rest.len;
        o->verdict = h2_gate_feed(&o->gate, &rest, now, setting->sent);
        MUST(rest.len < before);
        if (o->verdict == H2_LOOK)
            look(o, setting);
    } while (rest.len && o->verdict != H2_FLOOD);
    free(copy);
    check_uploads(&o->gate);
}

static void feed(struct outcome *o, slice all, size_t piece, const struct setting *setting)
{
    *o = (struct outcome){.verdict = H2_FINE};
    h2_gate_init(&o->gate, setting->block_bytes, setting->body_bytes, (mono_time){5000});
    for (; all.len && o->verdict != H2_FLOOD; all = slice_from(all, piece))
        take_piece(o, slice_until(all, piece), setting);
    if (o->verdict != H2_FLOOD)
        o->verdict = H2_FINE;
    MUST((o->verdict == H2_FLOOD) == (o->gate.why != NULL));
}

struct walk {
    uint64_t data_bytes;
    unsigned resets, headers, continuations;
    size_t longest_block, block;
};

static void note_frame(struct walk *walk, unsigned type, size_t length)
{
    walk->data_bytes += type == H2_DATA ? length : 0;
    walk->resets += type == H2_RST_STREAM;
    if (type == H2_HEADERS)
        walk->block = walk->continuations = 0;
    if (type == H2_CONTINUATION)
        MUST(++walk->continuations <= H2_CONTINUATIONS_PER_BLOCK);
    if (type == H2_HEADERS || type == H2_CONTINUATION)
        walk->block += length;
    walk->longest_block = walk->block > walk->longest_block ? walk->block : walk->longest_block;
}

/* Only of what was found to be fine. */
static void compare_with_walk(const struct h2_gate *gate, slice frames, size_t block_bytes)
{
    struct walk walk = {0};
    while (frames.len >= HEADER_BYTES) {
        const uint8_t *head = (const uint8_t *)frames.ptr;
        size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        note_frame(&walk, head[3], length);
        frames = slice_from(frames, HEADER_BYTES + length);
    }
    MUST(walk.data_bytes == gate->data_bytes);
    MUST(walk.resets == gate->resets && walk.resets <= H2_RESETS_PER_SECOND);
    MUST(gate->control <= H2_CONTROL_PER_SECOND);
    MUST(walk.longest_block <= block_bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char bytes[1 << 16];
    static struct outcome whole, pieces;
    slice input = input_of(data, size < sizeof(bytes) / 2 ? size : sizeof(bytes) / 2);
    size_t piece = take_byte(&input) + 1;
    struct setting setting = {.block_bytes = (size_t)take_byte(&input) * 64};
    setting.sent = (uint64_t)take_byte(&input) * H2_BYTES_PER_WINDOW_UPDATE;
    setting.body_bytes = (uint64_t)take_byte(&input) * 8;
    memset(bytes, 'P', PREFACE_BYTES); /* libh2o reads it; here it only counts */
    memcpy(bytes + PREFACE_BYTES, input.ptr ? input.ptr : "", input.len);
    slice all = slice_of(bytes, PREFACE_BYTES + input.len);
    feed(&whole, all, all.len, &setting);
    feed(&pieces, all, piece, &setting);
    MUST(whole.verdict == pieces.verdict && whole.gate.why == pieces.gate.why);
    MUST(whole.looks == pieces.looks && whole.gate.data_bytes == pieces.gate.data_bytes);
    MUST(whole.gate.upload_bytes == pieces.gate.upload_bytes &&
         whole.gate.control == pieces.gate.control);
    if (whole.verdict == H2_FINE)
        compare_with_walk(&whole.gate, input, setting.block_bytes);
    return 0;
}
