/*
 * The front with HTTP/2 as it runs: frame counter, refused bodies, libh2o, and the checks of what
 * comes out of it. Whatever the frames are, a request that reaches the handler is one that the rest
 * of the program can rely on, and nothing of the connection is left when the client has gone.
 *
 *   input = piece size (1 byte) flags (1 byte: 1 no preface of ours, 2 raw bytes) then frames, each
 *           type, flags, stream, payload length (1 byte each), payload; or raw bytes
 */
#include "tests/fuzz/edge/front_rig.h"

enum { NO_PREFACE = 1, IS_RAW = 2, HEADER_BYTES = 9, BYTES_MAX = 1 << 16 };

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    rig_init();
    return 0;
}

struct output {
    char bytes[BYTES_MAX];
    size_t count;
};

static void put(struct output *out, slice bytes)
{
    bytes = slice_until(bytes, BYTES_MAX - out->count);
    if (bytes.len)
        memcpy(out->bytes + out->count, bytes.ptr, bytes.len);
    out->count += bytes.len;
}

static void put_frame(struct output *out, slice *input)
{
    char header[HEADER_BYTES] = {0};
    header[3] = (char)take_byte(input);
    header[4] = (char)take_byte(input);
    header[8] = (char)take_byte(input);
    size_t length = take_byte(input);
    slice payload = slice_until(*input, length);
    *input = slice_from(*input, payload.len);
    header[2] = (char)payload.len;
    put(out, slice_of(header, sizeof(header)));
    put(out, payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct output out;
    slice input = input_of(data, size < BYTES_MAX / 4 ? size : BYTES_MAX / 4);
    size_t piece = (size_t)take_byte(&input) * 8 + 1;
    unsigned flags = take_byte(&input);
    out.count = 0;
    if (!(flags & NO_PREFACE))
        put(&out, SLICE("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"));
    if (flags & IS_RAW)
        put(&out, input);
    while (!(flags & IS_RAW) && input.len)
        put_frame(&out, &input);
    rig_begin_h2(rig_connect());
    for (slice rest = slice_of(out.bytes, out.count); rest.len; rest = slice_from(rest, piece)) {
        rig_send(slice_until(rest, piece));
        if (rig.requests % 2)
            rig_release();
    }
    rig_close();
    return 0;
}
