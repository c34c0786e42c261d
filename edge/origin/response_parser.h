/*
 * A response of an origin, parsed as it arrives: interim heads, head, body, end (RFC 9112 §2, §4 to
 * §7). Pure: bytes in, events out; the same code runs in the client, in unit tests and in the
 * fuzzer. Fields are split by libh2o's phr_parse_headers(); all that it lets pass and we do not is
 * checked here on the raw bytes.
 */
#pragma once

#include "edge/origin/chunked.h"
#include "policy/message.h"

enum {
    RESPONSE_HEAD_MAX_BYTES = 65536,
    RESPONSE_MAX_FIELDS = 200,
    RESPONSE_MAX_INTERIM = 16,
    REASON_MAX_BYTES = 128, /* of the phrase: some repeat there what the client has sent */
};

enum parse_event {
    PARSE_NEED_MORE, /* all of the input was taken */
    PARSE_INTERIM,   /* a 1xx; `response` is valid until the next call */
    PARSE_HEAD,      /* the final head; `response` is valid as long as the parser */
    PARSE_BODY,
    PARSE_END, /* the message is complete; what is left in the input does not belong to it */
    PARSE_MALFORMED,
};

/* What closing means at this point. */
enum parse_close {
    CLOSE_BEFORE_HEAD,
    CLOSE_IN_BODY, /* the body broke off */
    CLOSE_ENDS,    /* a body without framing ends so; never stored (semantics 4.2) */
};

enum body_framing { BODY_NONE, BODY_LENGTH, BODY_CHUNKED, BODY_UNTIL_CLOSE };

struct response_parser {
    struct response response;
    size_t length;       /* announced body length; SIZE_MAX: not announced */
    bool is_switching;   /* a 101 that was asked for: what follows is not HTTP */
    bool may_reuse;      /* at PARSE_END: the connection can carry another request */
    duration keep_alive; /* the origin's own `Keep-Alive: timeout`; DURATION_NONE: not said */
    bool has_bytes;      /* anything arrived at all */
    const char *mistake; /* PARSE_MALFORMED: what was wrong */
    /* private */
    struct arena arena; /* of response.fields */
    bool answers_head, may_switch, is_http_1_0;
    int state;
    enum body_framing framing;
    char *head;
    size_t head_bytes, head_capacity, status_line_bytes, line_bytes, lines;
    char last;
    unsigned interim_count;
    uint64_t left;
    struct chunked chunked;
};

/* `answers_head`: the request was a HEAD; `may_switch`: it asked for an upgrade. */
void response_parser_init(struct response_parser *parser, bool answers_head, bool may_switch);
void response_parser_fini(struct response_parser *parser);
/*
 * Takes from the front of *input up to the next event. `body` is a view of the input. Not to be
 * called again after PARSE_END, PARSE_MALFORMED, or the head of a 101 that was asked for.
 */
enum parse_event response_parser_next(struct response_parser *parser, slice *input, slice *body);
/* The connection was closed, or with `is_reset` broken. */
enum parse_close response_parser_close(const struct response_parser *parser, bool is_reset);
