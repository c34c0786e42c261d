/*
 * The frame counter before HTTP/2: the same bytes in pieces mean the same, its book of uploads adds
 * up, and a plain walk over the whole input finds the same DATA bytes and no more control frames
 * than are allowed.
 *
 *   input = piece size (1 byte) limit of a header block (1 byte) bytes sent to the client (1 byte)
 *           frames behind the preface
 */
#include "edge/http/h2_gate.h"

#include "tests/fuzz/input.h"

#include <stdlib.h>

enum { PREFACE_BYTES = 24, HEADER_BYTES = 9 };
enum { FRAME_DATA, FRAME_HEADERS, FRAME_PRIORITY, FRAME_RST_STREAM, FRAME_CONTINUATION = 9 };

struct setting {
    size_t block_bytes;
    uint64_t sent;
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

static enum h2_verdict feed(struct h2_gate *gate, slice all, size_t piece, struct setting setting)
{
    static const mono_time now = {5000};
    enum h2_verdict verdict = H2_FINE;
    h2_gate_init(gate, setting.block_bytes, now);
    while (all.len && verdict == H2_FINE) {
        slice part = slice_until(all, piece);
        char *copy = malloc(part.len); /* its end is watched */
        MUST(copy);
        memcpy(copy, part.ptr, part.len);
        verdict = h2_gate_feed(gate, slice_of(copy, part.len), now, setting.sent);
        free(copy);
        check_uploads(gate);
        all = slice_from(all, part.len);
    }
    MUST((verdict == H2_FLOOD) == (gate->why != NULL));
    return verdict;
}

struct walk {
    uint64_t data_bytes;
    unsigned resets, headers, continuations;
    size_t longest_block, block;
};

static void note_frame(struct walk *walk, unsigned type, size_t length)
{
    walk->data_bytes += type == FRAME_DATA ? length : 0;
    walk->resets += type == FRAME_RST_STREAM;
    if (type == FRAME_HEADERS)
        walk->block = walk->continuations = 0;
    if (type == FRAME_CONTINUATION)
        MUST(++walk->continuations <= H2_CONTINUATIONS_PER_BLOCK);
    if (type == FRAME_HEADERS || type == FRAME_CONTINUATION)
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
    static struct h2_gate whole, pieces;
    slice input = input_of(data, size < sizeof(bytes) / 2 ? size : sizeof(bytes) / 2);
    size_t piece = take_byte(&input) + 1;
    struct setting setting = {.block_bytes = (size_t)take_byte(&input) * 64};
    setting.sent = (uint64_t)take_byte(&input) * H2_BYTES_PER_WINDOW_UPDATE;
    memset(bytes, 'P', PREFACE_BYTES); /* libh2o reads it; here it only counts */
    memcpy(bytes + PREFACE_BYTES, input.ptr ? input.ptr : "", input.len);
    slice all = slice_of(bytes, PREFACE_BYTES + input.len);
    enum h2_verdict verdict = feed(&whole, all, all.len, setting);
    MUST(feed(&pieces, all, piece, setting) == verdict);
    MUST(whole.why == pieces.why && whole.data_bytes == pieces.data_bytes);
    MUST(whole.upload_bytes == pieces.upload_bytes && whole.control == pieces.control);
    if (verdict == H2_FINE)
        compare_with_walk(&whole, input, setting.block_bytes);
    return 0;
}
