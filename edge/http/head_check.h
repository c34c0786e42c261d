/*
 * The strict reading of an HTTP/1 request head (RFC 9112 §2–§6). libh2o 2.2.5 accepts what
 * smuggling is made of (two Content-Lengths, bare LF, folded lines …), so each head passes here
 * first, and what is let through means the same to libh2o, to us and to an origin. Pure: no socket,
 * no libh2o.
 */
#pragma once

#include "base/slice.h"

enum { METHOD_MAX_BYTES = 32 };

struct head_limits {
    size_t head_bytes, url_bytes, fields;
};

enum head_verdict { HEAD_INCOMPLETE, HEAD_OK, HEAD_REFUSED };

/* How far a head that arrives in pieces was looked at: no byte is looked at twice. Zeroed for each
 * head. */
struct head_scan {
    size_t scanned, line_start;
    size_t lines; /* ended so far */
};

enum head_body { HEAD_BODY_NONE, HEAD_BODY_LENGTH, HEAD_BODY_CHUNKED };

/* Slices are views of the input. */
struct head {
    size_t bytes; /* of the whole head, with the empty line */
    slice method, target, host;
    unsigned minor; /* of HTTP/1.minor */
    enum head_body body;
    uint64_t content_length;
    slice framing, framing_room;        /* value of Content-Length or Transfer-Encoding; and with
                                           the white space around it */
    bool wants_close, wants_keep_alive; /* members of Connection */
    slice expect;                       /* value; ptr NULL: no such field */
    slice expect_line;                  /* whole line with CRLF */
    /* absolute-form: these first bytes of the target have to be cut off to get origin-form; if
     * `needs_slash`, the last of them has to become '/' instead */
    size_t target_prefix;
    bool needs_slash;
};

struct head_refusal {
    unsigned status;
    const char *detail; /* what was wrong, for people; a literal */
};

/*
 * Looks for the end of the head in what has arrived so far. HEAD_OK: *bytes is its length.
 * HEAD_REFUSED: a limit is passed or a line does not end in CRLF; nothing that can still arrive
 * mends it.
 */
enum head_verdict head_scan(struct head_scan *scan, slice input, const struct head_limits *limits,
                            size_t *bytes, struct head_refusal *refusal);

/* Reads a complete head (as long as head_scan() said). HEAD_OK or HEAD_REFUSED; `head` then holds
 * what was understood before, at least method (perhaps empty). */
enum head_verdict head_check(slice input, const struct head_limits *limits, struct head *head,
                             struct head_refusal *refusal);

/* uri-host [":" port] with the letters that names have in use (RFC 9110 §7.2): no userinfo, no
 * percent-encoding. */
bool host_is_valid(slice host);

/*
 * Origin-form without control bytes, space or fragment; in the path also no encoded control byte,
 * however often encoded (semantics 1.3).
 */
bool target_is_valid(slice target);
