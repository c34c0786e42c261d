/*
 * Walks the frame headers of what an HTTP/2 client sends, before libh2o parses it, and says when a
 * connection asks for more work than a browser would: Rapid Reset (CVE-2023-44487), CONTINUATION,
 * PING, SETTINGS and empty-frame floods. libh2o 2.2.5 has no limit on any of them. Pure: time is a
 * parameter.
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

enum {
    H2_HEADER_BYTES = 9,
    H2_CONTROL_PER_SECOND = 100,
    /* by either side: a client can also make us reset (CVE-2025-8671) */
    H2_RESETS_PER_SECOND = 20,
    /* after a stream has ended with a reset of ours, some DATA for it is still under way: one more
     * reset for so many bytes of it */
    H2_DATA_BYTES_PER_RESET = 1024,
    H2_CONTINUATIONS_PER_BLOCK = 16,
    /* WINDOW_UPDATE is how a client asks for more: one is granted for so many bytes that we sent,
     * on top of the control budget */
    H2_BYTES_PER_WINDOW_UPDATE = 4096,
    /* request bodies under way on one connection; libh2o allows 100 streams */
    H2_UPLOADS_MAX = 128,
    /* refused bodies of which the rest is awaited, and thrown away */
    H2_REFUSED_MAX = H2_UPLOADS_MAX,
};

enum h2_verdict {
    H2_FINE,   /* bytes of the preface, of a payload, or the beginning of a header */
    H2_HEADER, /* the header of a frame is complete */
    /* The same, and the caller should look at the frame before libh2o has it: the first DATA of a
     * body, DATA beyond the limit, DATA of a refused body, trailers, and each CONTINUATION. */
    H2_LOOK,
    H2_FLOOD
};

struct h2_frame {
    uint32_t length, stream;
    uint8_t type, flags;
};
enum h2_frame_type {
    H2_DATA,
    H2_HEADERS,
    H2_PRIORITY,
    H2_RST_STREAM,
    H2_SETTINGS,
    H2_PUSH_PROMISE,
    H2_PING,
    H2_GOAWAY,
    H2_WINDOW_UPDATE,
    H2_CONTINUATION
};
enum { H2_END_STREAM = 1, H2_END_HEADERS = 4 };

struct h2_upload {
    uint32_t stream;
    uint64_t bytes;
};

struct h2_refused {
    uint32_t stream; /* 0: free */
    unsigned status;
};

struct h2_gate {
    size_t preface_left; /* of "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" */
    uint8_t header[H2_HEADER_BYTES];
    unsigned header_bytes; /* of the next frame's header, so far */
    uint32_t payload_left; /* of the present frame */
    mono_time second;      /* when the present budget began */
    unsigned control, resets, window_updates;
    uint64_t our_resets;
    unsigned continuations; /* of the present header block */
    size_t block_bytes, block_max_bytes;
    bool is_in_block, block_ends_stream;
    uint64_t sent_before; /* bytes that we had sent when the second began */
    uint64_t data_bytes;  /* payload of all DATA frames */
    uint64_t data_before; /* the same, when the second began */
    /* bodies that libh2o buffers: until the last byte of the last frame of their stream */
    struct h2_upload uploads[H2_UPLOADS_MAX];
    size_t upload_count;
    uint64_t upload_runs;  /* how often one began when there was none */
    uint64_t upload_bytes; /* sum over `uploads` */
    uint64_t upload_max_bytes;
    struct h2_refused refused[H2_REFUSED_MAX];
    size_t refused_next;
    struct h2_frame frame; /* the last that began */
    uint32_t body_bytes;   /* of it, in `upload_bytes` */
    uint64_t frames;       /* how many began */
    const char *why;       /* after H2_FLOOD: what was too much */
};

/* `header_bytes` is the limit of a request's header block as it is sent (still compressed),
 * `body_bytes` that of its body. */
void h2_gate_init(struct h2_gate *gate, size_t header_bytes, uint64_t body_bytes, mono_time now);
/* Takes from the front of what has newly arrived, at most up to the end of a frame's header or of a
 * frame; `sent` is how many bytes went to the client so far. */
enum h2_verdict h2_gate_feed(struct h2_gate *gate, slice *bytes, mono_time now, uint64_t sent);
/* Everything up to the end of a frame (or of the preface) has been taken. */
bool h2_gate_is_between_frames(const struct h2_gate *gate);
/* We reset so many streams because of what the client sent. */
enum h2_verdict h2_gate_count_our_resets(struct h2_gate *gate, uint64_t resets);
/* How much DATA has arrived: the headers of its frames may be far ahead. */
uint64_t h2_gate_arrived(const struct h2_gate *gate);
/* The stream's body is no longer counted: the rest of it gives H2_LOOK. */
void h2_gate_refuse(struct h2_gate *gate, uint32_t stream, unsigned status);
/* The status that it was refused with; 0: it was not, or that is forgotten. */
unsigned h2_gate_refusal(const struct h2_gate *gate, uint32_t stream);
void h2_gate_forget(struct h2_gate *gate, uint32_t stream);
