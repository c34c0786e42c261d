/*
 * The head is collected in a buffer of our own, each byte checked on the way: bare CR or LF,
 * control bytes, folded lines, too long, too many lines. So a line can only end in one way, and no
 * two readers can disagree about where a field or the head ends. Framing (RFC 9112 §6.3): exactly
 * one of Content-Length, chunked, nothing; everything else is malformed, which the client sees as a
 * 502.
 */
#include "edge/origin/response_parser.h"

#include "edge/origin/phr.h"

#include <stdlib.h>

enum { IN_HEAD, AFTER_INTERIM, AT_BODY, IN_BODY };

static const slice VERSION_PREFIX = {"HTTP/1.", 7};

void response_parser_init(struct response_parser *parser, bool answers_head, bool may_switch)
{
    *parser = (struct response_parser){
        .answers_head = answers_head, .may_switch = may_switch, .state = IN_HEAD};
    arena_init(&parser->arena);
}

void response_parser_fini(struct response_parser *parser)
{
    arena_fini(&parser->arena);
    free(parser->head);
    parser->head = NULL;
}

static enum parse_event malformed(struct response_parser *parser, const char *mistake)
{
    parser->mistake = mistake;
    return PARSE_MALFORMED;
}

/* --- collecting the head --- */

/* NULL, or why this byte may not stand here. */
static const char *check_head_byte(const struct response_parser *parser, char c)
{
    if (parser->head_bytes < VERSION_PREFIX.len && c != VERSION_PREFIX.ptr[parser->head_bytes])
        return "not an HTTP/1 response";
    if (parser->head_bytes == RESPONSE_HEAD_MAX_BYTES)
        return "head over 64 KiB";
    if (parser->last == '\r' && c != '\n')
        return "bare CR in the head";
    if (c == '\n')
        return parser->last == '\r' ? NULL : "bare LF in the head";
    if ((unsigned char)c < 0x20 && c != '\t' && c != '\r')
        return "control byte in the head";
    if (c == 0x7f)
        return "control byte in the head";
    if (parser->line_bytes == 0 && parser->lines > 0 && (c == ' ' || c == '\t'))
        return "folded header line";
    return NULL;
}

static void keep_head_byte(struct response_parser *parser, char c)
{
    if (parser->head_bytes == parser->head_capacity) {
        parser->head_capacity = parser->head_capacity ? parser->head_capacity * 2 : 1024;
        parser->head = mem_grow(parser->head, parser->head_capacity);
    }
    parser->head[parser->head_bytes++] = c;
    parser->last = c;
}

/* True when the byte ended the head. */
static bool count_line(struct response_parser *parser, char c)
{
    if (c != '\n') {
        parser->line_bytes += c != '\r';
        return false;
    }
    bool is_empty = parser->line_bytes == 0;
    parser->line_bytes = 0;
    if (parser->lines++ == 0)
        parser->status_line_bytes = parser->head_bytes;
    return is_empty;
}

/* PARSE_HEAD when the head is complete. */
static enum parse_event collect_head(struct response_parser *parser, slice *input)
{
    for (size_t i = 0; i < input->len; i++) {
        char c = input->ptr[i];
        const char *mistake = check_head_byte(parser, c);
        if (mistake)
            return malformed(parser, mistake);
        keep_head_byte(parser, c);
        if (count_line(parser, c)) {
            *input = slice_from(*input, i + 1);
            return PARSE_HEAD;
        }
        if (parser->lines > RESPONSE_MAX_FIELDS + 1)
            return malformed(parser, "too many header lines");
    }
    *input = slice_from(*input, input->len);
    return PARSE_NEED_MORE;
}

static void start_head(struct response_parser *parser)
{
    arena_fini(&parser->arena);
    parser->response = (struct response){0};
    parser->head_bytes = parser->line_bytes = parser->lines = 0;
    parser->last = 0;
    parser->state = IN_HEAD;
}

/* --- reading it --- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* "HTTP/1." DIGIT SP 3DIGIT [SP reason] CRLF. The blank behind the status is required by RFC 9112
 * §4, but left out by many servers, and nothing hangs on it. */
static bool read_status_line(struct response_parser *parser)
{
    slice line = slice_of(parser->head, parser->status_line_bytes - 2);
    if (line.len < 12 || !is_digit(line.ptr[7]) || line.ptr[8] != ' ')
        return false;
    parser->is_http_1_0 = line.ptr[7] == '0';
    if (!is_digit(line.ptr[9]) || !is_digit(line.ptr[10]) || !is_digit(line.ptr[11]))
        return false;
    parser->response.status = (unsigned)(line.ptr[9] - '0') * 100 +
                              (unsigned)(line.ptr[10] - '0') * 10 + (unsigned)(line.ptr[11] - '0');
    if (line.len > 12 && line.ptr[12] != ' ')
        return false;
    parser->response.reason = slice_trim(slice_until(slice_from(line, 13), REASON_MAX_BYTES));
    return parser->response.status >= 100;
}

static bool read_fields(struct response_parser *parser)
{
    struct phr_header headers[RESPONSE_MAX_FIELDS];
    size_t count = RESPONSE_MAX_FIELDS;
    size_t start = parser->status_line_bytes;
    int taken =
        phr_parse_headers(parser->head + start, parser->head_bytes - start, headers, &count, 0);
    if (taken < 0 || (size_t)taken != parser->head_bytes - start)
        return false;
    fields_init(&parser->response.fields, &parser->arena);
    for (size_t i = 0; i < count; i++) {
        char *name = parser->head + (headers[i].name - parser->head);
        for (size_t j = 0; j < headers[i].name_len; j++)
            name[j] = ascii_lower(name[j]);
        fields_add(&parser->response.fields, slice_of(name, headers[i].name_len),
                   slice_trim(slice_of(headers[i].value, headers[i].value_len)));
    }
    return true;
}

/* Content-Length: all members of all lines the same number (RFC 9110 §8.6). */
static const char *read_content_length(struct response_parser *parser, bool *is_given)
{
    const struct fields *fields = &parser->response.fields;
    *is_given = false;
    for (size_t i = 0; i < fields->count; i++) {
        if (fields->at[i].id != FIELD_CONTENT_LENGTH)
            continue;
        slice rest = fields->at[i].value, member;
        if (rest.len == 0)
            return "empty Content-Length";
        while (slice_next(&rest, ',', &member)) {
            uint64_t value;
            if (!slice_to_u64(slice_trim(member), &value) || value > INT64_MAX)
                return "bad Content-Length";
            if (*is_given && value != parser->length)
                return "different Content-Lengths";
            *is_given = true;
            parser->length = (size_t)value;
        }
    }
    return NULL;
}

static const char *read_transfer_encoding(struct response_parser *parser, bool *is_chunked)
{
    size_t lines = fields_count_id(&parser->response.fields, FIELD_TRANSFER_ENCODING);
    *is_chunked = false;
    if (lines == 0)
        return NULL;
    if (parser->is_http_1_0)
        return "Transfer-Encoding in HTTP/1.0";
    slice value = fields_value(&parser->response.fields, FIELD_TRANSFER_ENCODING);
    *is_chunked = lines == 1 && slice_equal_nocase(value, SLICE("chunked"));
    return *is_chunked ? NULL : "Transfer-Encoding other than chunked";
}

static bool has_no_body(const struct response_parser *parser)
{
    unsigned status = parser->response.status;
    return parser->answers_head || parser->is_switching || status == 204 || status == 304;
}

static bool may_keep_alive(const struct response_parser *parser)
{
    const struct fields *fields = &parser->response.fields;
    if (fields_has_member(fields, FIELD_CONNECTION, SLICE("close")))
        return false;
    return !parser->is_http_1_0 || fields_has_member(fields, FIELD_CONNECTION, SLICE("keep-alive"));
}

/* NULL, or what is wrong with it. */
static const char *choose_framing(struct response_parser *parser)
{
    bool has_length, is_chunked;
    parser->length = SIZE_MAX;
    const char *mistake = read_content_length(parser, &has_length);
    if (!mistake)
        mistake = read_transfer_encoding(parser, &is_chunked);
    if (mistake)
        return mistake;
    if (is_chunked && has_length)
        return "Transfer-Encoding with Content-Length";

    parser->may_reuse = may_keep_alive(parser);
    if (has_no_body(parser)) {
        parser->framing = BODY_NONE;
        /* a 204 that announces a body will perhaps send one */
        if (parser->response.status == 204 && (is_chunked || (has_length && parser->length > 0)))
            parser->may_reuse = false;
    } else if (is_chunked) {
        parser->framing = BODY_CHUNKED;
        chunked_init(&parser->chunked);
    } else if (has_length) {
        parser->framing = BODY_LENGTH;
        parser->left = parser->length;
    } else {
        parser->framing = BODY_UNTIL_CLOSE;
        parser->may_reuse = false;
    }
    return NULL;
}

/* Keep-Alive: timeout=5, max=1000 */
static duration read_keep_alive(const struct fields *fields)
{
    slice rest = fields_value(fields, FIELD_KEEP_ALIVE), member;
    while (slice_next_member(&rest, &member)) {
        uint64_t seconds;
        if (slice_starts_with_nocase(member, SLICE("timeout=")) &&
            slice_to_u64(slice_from(member, 8), &seconds))
            return duration_of_seconds(seconds > INT32_MAX ? INT32_MAX : (int64_t)seconds);
    }
    return DURATION_NONE;
}

static enum parse_event read_interim(struct response_parser *parser)
{
    if (parser->response.status == 101)
        return malformed(parser, "101 that was not asked for");
    if (++parser->interim_count > RESPONSE_MAX_INTERIM)
        return malformed(parser, "too many interim responses");
    parser->state = AFTER_INTERIM;
    return PARSE_INTERIM;
}

static enum parse_event read_head(struct response_parser *parser)
{
    if (!read_status_line(parser))
        return malformed(parser, "bad status line");
    if (!read_fields(parser))
        return malformed(parser, "bad header line");
    parser->is_switching = parser->response.status == 101 && parser->may_switch;
    if (parser->response.status < 200 && !parser->is_switching)
        return read_interim(parser);
    const char *mistake = choose_framing(parser);
    if (mistake)
        return malformed(parser, mistake);
    parser->keep_alive = read_keep_alive(&parser->response.fields);
    parser->state = AT_BODY;
    return PARSE_HEAD;
}

/* --- the body --- */

static enum parse_event take_counted(struct response_parser *parser, slice *input, slice *body)
{
    if (parser->left == 0)
        return PARSE_END;
    if (input->len == 0)
        return PARSE_NEED_MORE;
    *body = slice_until(*input, parser->left < input->len ? (size_t)parser->left : input->len);
    *input = slice_from(*input, body->len);
    parser->left -= body->len;
    return PARSE_BODY;
}

static enum parse_event take_chunked(struct response_parser *parser, slice *input, slice *body)
{
    switch (chunked_next(&parser->chunked, input, body)) {
    case CHUNKED_DATA:
        return PARSE_BODY;
    case CHUNKED_END:
        return PARSE_END;
    case CHUNKED_BAD:
        return malformed(parser, "bad chunk");
    case CHUNKED_NEED_MORE:
        break;
    }
    return PARSE_NEED_MORE;
}

static enum parse_event take_body(struct response_parser *parser, slice *input, slice *body)
{
    switch (parser->framing) {
    case BODY_LENGTH:
        return take_counted(parser, input, body);
    case BODY_CHUNKED:
        return take_chunked(parser, input, body);
    case BODY_UNTIL_CLOSE:
        *body = *input;
        *input = slice_from(*input, input->len);
        return body->len > 0 ? PARSE_BODY : PARSE_NEED_MORE;
    case BODY_NONE:
        break;
    }
    return PARSE_END;
}

enum parse_event response_parser_next(struct response_parser *parser, slice *input, slice *body)
{
    parser->has_bytes |= input->len > 0;
    if (parser->state == AFTER_INTERIM)
        start_head(parser);
    if (parser->state == IN_HEAD) {
        enum parse_event event = collect_head(parser, input);
        return event == PARSE_HEAD ? read_head(parser) : event;
    }
    parser->state = IN_BODY;
    return take_body(parser, input, body);
}

enum parse_close response_parser_close(const struct response_parser *parser, bool is_reset)
{
    if (parser->state == IN_HEAD || parser->state == AFTER_INTERIM)
        return CLOSE_BEFORE_HEAD;
    return parser->framing == BODY_UNTIL_CLOSE && !is_reset ? CLOSE_ENDS : CLOSE_IN_BODY;
}
