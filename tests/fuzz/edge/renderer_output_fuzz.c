/*
 * What a renderer writes to its stdout and stderr, as varve takes it into lines. However it comes
 * in pieces, the same is remembered of it for the case of its death: the end of what it said on
 * stderr, as lines that are not longer than they may be.
 *
 *   input = piece size (1 byte) length of stdout (2 bytes) stdout, stderr
 */
#include "edge/proc/renderer_output.h"

#include "base/arena.h"
#include "base/log.h"

#include "tests/fuzz/input.h"

#include <fcntl.h>
#include <unistd.h>

enum { INPUT_MAX = 8192, PIECE_UNIT = 16 };

static const slice joint = {" | ", 3};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    log_set_level(LOG_LEVEL_ERROR); /* its lines are the fuzzer log_line's */
    return 0;
}

static void write_to(int fd, slice bytes)
{
    MUST(write(fd, bytes.ptr ? bytes.ptr : "", bytes.len) == (ssize_t)bytes.len);
}

static void listen_to(struct renderer_output *output, slice out, slice err, size_t piece)
{
    int outs[2], errs[2];
    mono_time now = {1};
    MUST(pipe2(outs, O_CLOEXEC | O_NONBLOCK) == 0 && pipe2(errs, O_CLOEXEC | O_NONBLOCK) == 0);
    output_open(output, SLICE("renderer/0"), outs[0], errs[0], now);
    while (out.len || err.len) {
        write_to(outs[1], slice_until(out, piece));
        write_to(errs[1], slice_until(err, piece));
        output_read(output, now);
        out = slice_from(out, piece);
        err = slice_from(err, piece);
    }
    close(outs[1]);
    close(errs[1]);
    output_close(output, now);
    MUST(output->out.fd < 0 && output->err.fd < 0);
}

/* A line as it is kept: without its end, and cut. */
static slice kept(slice line)
{
    line = slice_until(line, OUTPUT_LINE_BYTES);
    if (slice_ends_with(line, SLICE("\r")))
        line.len--;
    return slice_until(line, OUTPUT_RECENT_BYTES / 2);
}

/* All lines joined, and the last of them. */
static slice join(struct arena *arena, slice text, slice *last)
{
    char *bytes = arena_alloc(arena, text.len * 4 + 1); /* "a\n" becomes "a | " */
    size_t used = 0;
    slice line;
    for (*last = SLICE_NONE; slice_next(&text, '\n', &line);) {
        line = kept(line);
        if (line.len == 0)
            continue;
        if (used > 0)
            memcpy(bytes + used, joint.ptr, joint.len);
        used += used > 0 ? joint.len : 0;
        memcpy(bytes + used, line.ptr, line.len);
        used += line.len;
        *last = line;
    }
    return slice_of(bytes, used);
}

/* What was dropped of it ended where a line does, and was not dropped without need. */
static void check_recent(slice recent, slice err)
{
    struct arena arena;
    slice last;
    arena_init(&arena);
    slice all = join(&arena, err, &last);
    slice dropped = slice_until(all, all.len - recent.len);
    MUST(recent.len <= OUTPUT_RECENT_BYTES && slice_ends_with(all, recent));
    MUST(slice_ends_with(recent, last));
    MUST(dropped.len == 0 || slice_ends_with(dropped, joint));
    MUST((dropped.len == 0) == (all.len <= OUTPUT_RECENT_BYTES));
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct renderer_output whole, pieces;
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    size_t piece = (take_byte(&input) + 1) * PIECE_UNIT;
    size_t length = take_byte(&input);
    length = length << 8 | take_byte(&input);
    slice out = slice_until(input, length), err = slice_from(input, length);
    listen_to(&whole, out, err, INPUT_MAX);
    listen_to(&pieces, out, err, piece);
    MUST(slice_equal(output_recent(&whole), output_recent(&pieces)));
    check_recent(output_recent(&whole), err);
    return 0;
}
