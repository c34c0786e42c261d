/*
 * The front with HTTP/1 as it runs: PROXY header, read gate, libh2o, refusals. However the client's
 * bytes are cut, the same requests come to the handler, as many answers come back, and nothing of
 * the connection is left when the client has gone.
 *
 *   input = piece size (1 byte) what the client sends
 */
#include "tests/fuzz/edge/front_rig.h"

enum { INPUT_MAX = 8192, ANSWERS_MAX = 256 };

struct outcome {
    size_t requests;
    uint64_t request_hash;
    unsigned
        statuses[ANSWERS_MAX]; /* those of errors as 400: a limit may be met before a mistake */
    size_t answers;
};

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc, (void)argv;
    rig_init();
    return 0;
}

/* 0: no head of an answer; a text that speaks of HTTP/1.1. */
static unsigned status_of(slice head)
{
    uint64_t status;
    if (!slice_to_u64(slice_until(slice_from(head, 9), 3), &status) || status < 100)
        return 0;
    return status >= 400 ? 400 : (unsigned)status;
}

static void read_answers(struct outcome *o)
{
    slice rest = slice_of(rig.received, rig.received_bytes);
    size_t at;
    while ((at = slice_search(rest, SLICE("HTTP/1.1 "))) < rest.len) {
        unsigned status = status_of(slice_from(rest, at));
        rest = slice_from(rest, at + 9);
        if (status == 0 || status == 100) /* which is said when the body comes late enough */
            continue;
        MUST(o->answers < ANSWERS_MAX);
        o->statuses[o->answers++] = status;
    }
}

static struct outcome talk(slice input, size_t piece)
{
    struct outcome o = {0};
    rig_connect();
    for (; input.len; input = slice_from(input, piece)) {
        rig_send(slice_until(input, piece));
        rig_release();
    }
    rig_turn(RIG_TURNS);
    o.requests = rig.requests;
    o.request_hash = rig.request_hash;
    read_answers(&o);
    rig_close();
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    slice input = input_of(data, size < INPUT_MAX ? size : INPUT_MAX);
    size_t piece = take_byte(&input) + 1;
    struct outcome whole = talk(input, SIZE_MAX), pieces = talk(input, piece);
    MUST(whole.requests == pieces.requests && whole.request_hash == pieces.request_hash);
    MUST(whole.answers == pieces.answers);
    MUST(memcmp(whole.statuses, pieces.statuses, sizeof(whole.statuses)) == 0);
    return 0;
}
