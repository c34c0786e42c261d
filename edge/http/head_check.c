/*
 * Reads a request head line by line, byte classes from one table.
 *
 *     method SP target SP "HTTP/1." DIGIT CRLF
 *     *( name ":" OWS value OWS CRLF )
 *     CRLF
 *
 * Deliberately not done: obs-fold, bare LF, empty lines in front (the caller drops one), CONNECT,
 * authority-form and asterisk-form (varve has no answer of its own to OPTIONS *).
 */
#include "edge/http/head_check.h"

#include "base/token.h"

enum { VERSION_BYTES = 8, HOST_MAX_BYTES = 262 };

/* Byte classes. */
enum { IS_VALUE = 1, IS_TARGET = 2, IS_NAME = 4 };

#define N (IS_VALUE | IS_TARGET | IS_NAME)
#define P (IS_VALUE | IS_TARGET)
#define V IS_VALUE

/* clang-format off */
static const uint8_t classes[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, V, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
/*  SP !  "  #  $  %  &  '  (  )  *  +  ,  -  .  /  0  1  2  3  4  5  6  7  8  9  :  ;  <  =  >  ? */
    V, P, P, V, P, P, P, P, P, P, P, P, P, N, N, P, N, N, N, N, N, N, N, N, N, N, P, P, P, P, P, P,
    P, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, P, P, P, P, N,
    P, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, P, P, P, P, 0,
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
    P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P, P,
};
/* clang-format on */
#undef N
#undef P
#undef V

static size_t run_of(slice s, unsigned class)
{
    size_t i = 0;
    while (i < s.len && (classes[(uint8_t)s.ptr[i]] & class))
        i++;
    return i;
}

static bool consists_of(slice s, unsigned class)
{
    return run_of(s, class) == s.len;
}

static enum head_verdict refuse(struct head_refusal *refusal, unsigned status, const char *detail)
{
    *refusal = (struct head_refusal){status, detail};
    return HEAD_REFUSED;
}

/* --- the end of the head --- */

static enum head_verdict over_limit(const struct head_scan *scan, size_t line_bytes,
                                    const struct head_limits *limits, size_t head_bytes,
                                    struct head_refusal *refusal)
{
    if (scan->lines == 0 && line_bytes > limits->url_bytes + METHOD_MAX_BYTES + VERSION_BYTES + 4)
        return refuse(refusal, 414, "the request line is too long");
    if (head_bytes > limits->head_bytes)
        return refuse(refusal, 431, "the request head is too large");
    if (scan->lines > limits->fields + 2) /* request line and empty line are no fields */
        return refuse(refusal, 431, "the request has too many header fields");
    return HEAD_INCOMPLETE;
}

enum head_verdict head_scan(struct head_scan *scan, slice input, const struct head_limits *limits,
                            size_t *bytes, struct head_refusal *refusal)
{
    size_t end;
    while ((end = slice_find(input, '\n', scan->scanned)) < input.len) {
        if (end == 0 || input.ptr[end - 1] != '\r')
            return refuse(refusal, 400, "a line does not end in CR LF");
        size_t line_bytes = end + 1 - scan->line_start;
        if (over_limit(scan, line_bytes, limits, end + 1, refusal) == HEAD_REFUSED)
            return HEAD_REFUSED;
        scan->scanned = scan->line_start = end + 1;
        scan->lines++;
        if (line_bytes == 2) {
            *bytes = end + 1;
            return HEAD_OK;
        }
    }
    scan->scanned = input.len;
    return over_limit(scan, input.len - scan->line_start, limits, input.len, refusal);
}

/* --- the request line --- */

/* The byte that the hex digits at s.ptr[at] stand for, or -1. */
static int hex_byte(slice s, size_t at)
{
    if (at + 2 > s.len)
        return -1;
    int high = hex_value(s.ptr[at]), low = hex_value(s.ptr[at + 1]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* "%00", "%2500", "%252500" …: does a control byte come out, however often one decodes? */
static bool encodes_control_byte(slice path)
{
    for (size_t i = slice_find(path, '%', 0); i < path.len; i = slice_find(path, '%', i + 1)) {
        size_t at = i + 1;
        int byte = hex_byte(path, at);
        while (byte == '%') {
            at += 2;
            byte = hex_byte(path, at);
        }
        if ((byte >= 0 && byte < 0x20) || byte == 0x7f)
            return true;
    }
    return false;
}

bool target_is_valid(slice target)
{
    return target.len > 0 && target.ptr[0] == '/' && consists_of(target, IS_TARGET) &&
           !encodes_control_byte(slice_until(target, slice_find(target, '?', 0)));
}

/* http://HOST/… : remembers what has to be cut off; `host_of_target` is HOST. */
static bool read_absolute_form(slice target, struct head *head, slice *host_of_target)
{
    size_t scheme = slice_starts_with_nocase(target, SLICE("http://"))    ? 7
                    : slice_starts_with_nocase(target, SLICE("https://")) ? 8
                                                                          : 0;
    if (scheme == 0)
        return false;
    size_t end = scheme;
    while (end < target.len && target.ptr[end] != '/' && target.ptr[end] != '?')
        end++;
    *host_of_target = slice_of(target.ptr + scheme, end - scheme);
    head->target_prefix = end;
    head->needs_slash = end == target.len || target.ptr[end] != '/';
    return true;
}

static enum head_verdict check_target(slice target, struct head *head, slice *host_of_target,
                                      struct head_refusal *refusal)
{
    if (slice_equal(head->method, SLICE("CONNECT")))
        return refuse(refusal, 501, "CONNECT is not supported");
    head->target = target;
    slice rest = target;
    if (read_absolute_form(target, head, host_of_target))
        rest = slice_from(target, head->target_prefix);
    if (head->needs_slash ? !(rest.len == 0 || consists_of(rest, IS_TARGET))
                          : !target_is_valid(rest))
        return refuse(refusal, 400, "the request target is not valid");
    return HEAD_OK;
}

static enum head_verdict check_version(slice version, struct head *head,
                                       struct head_refusal *refusal)
{
    if (version.len != VERSION_BYTES || !slice_starts_with(version, SLICE("HTTP/")) ||
        version.ptr[5] < '0' || version.ptr[5] > '9' || version.ptr[6] != '.' ||
        version.ptr[7] < '0' || version.ptr[7] > '9')
        return refuse(refusal, 400, "the request line is malformed");
    if (version.ptr[5] != '1')
        return refuse(refusal, 505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are spoken here");
    head->minor = (unsigned)(version.ptr[7] - '0');
    return HEAD_OK;
}

static enum head_verdict check_request_line(slice line, const struct head_limits *limits,
                                            struct head *head, slice *host_of_target,
                                            struct head_refusal *refusal)
{
    slice rest = line, method, target;
    if (!slice_next(&rest, ' ', &method) || !is_token(method) || !slice_next(&rest, ' ', &target))
        return refuse(refusal, 400, "the request line is malformed");
    if (method.len > METHOD_MAX_BYTES)
        return refuse(refusal, 501, "the method name is too long");
    head->method = method;
    if (target.len > limits->url_bytes)
        return refuse(refusal, 414, "the URL is too long");
    if (check_version(rest, head, refusal) == HEAD_REFUSED)
        return HEAD_REFUSED;
    return check_target(target, head, host_of_target, refusal);
}

/* --- fields --- */

static bool port_is_valid(slice port)
{
    uint64_t number;
    return port.len == 0 || (port.len <= 5 && slice_to_u64(port, &number) && number <= 65535);
}

static bool is_ipv6_byte(char c)
{
    c = ascii_lower(c);
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == ':' || c == '.';
}

static bool bracketed_is_valid(slice host)
{
    size_t end = slice_find(host, ']', 0);
    if (end == host.len || end < 3)
        return false;
    for (size_t i = 1; i < end; i++)
        if (!is_ipv6_byte(host.ptr[i]))
            return false;
    slice rest = slice_from(host, end + 1);
    return rest.len == 0 || (rest.ptr[0] == ':' && port_is_valid(slice_from(rest, 1)));
}

bool host_is_valid(slice host)
{
    if (host.len == 0 || host.len > HOST_MAX_BYTES)
        return false;
    if (host.ptr[0] == '[')
        return bracketed_is_valid(host);
    size_t colon = slice_find(host, ':', 0);
    slice name = slice_until(host, colon);
    return name.len > 0 && name.ptr[0] != '.' && consists_of(name, IS_NAME) &&
           port_is_valid(slice_from(host, colon + 1));
}

struct seen { /* fields that may come once */
    unsigned hosts, content_lengths, transfer_encodings, expects;
};

static void note_connection(slice value, struct head *head)
{
    slice rest = value, member;
    while (slice_next_member(&rest, &member)) {
        head->wants_close |= slice_equal_nocase(member, SLICE("close"));
        head->wants_keep_alive |= slice_equal_nocase(member, SLICE("keep-alive"));
    }
}

static enum head_verdict check_content_length(slice value, struct head *head, struct seen *seen,
                                              struct head_refusal *refusal)
{
    if (seen->content_lengths++)
        return refuse(refusal, 400, "Content-Length is given twice");
    if (value.len > 18 || !slice_to_u64(value, &head->content_length))
        return refuse(refusal, 400, "Content-Length is not a number");
    head->body = HEAD_BODY_LENGTH;
    return HEAD_OK;
}

static enum head_verdict check_transfer_encoding(slice value, struct seen *seen,
                                                 struct head_refusal *refusal)
{
    if (seen->transfer_encodings++)
        return refuse(refusal, 400, "Transfer-Encoding is given twice");
    if (!slice_equal_nocase(value, SLICE("chunked")))
        return refuse(refusal, 501, "only the transfer coding chunked is supported");
    return HEAD_OK;
}

static enum head_verdict check_host(slice value, struct head *head, struct seen *seen,
                                    struct head_refusal *refusal)
{
    if (seen->hosts++)
        return refuse(refusal, 400, "Host is given twice");
    if (!host_is_valid(value))
        return refuse(refusal, 400, "Host is not valid");
    head->host = value;
    return HEAD_OK;
}

static enum head_verdict check_expect(slice line, slice value, struct head *head, struct seen *seen,
                                      struct head_refusal *refusal)
{
    if (seen->expects++)
        return refuse(refusal, 417, "Expect is given twice");
    head->expect = value;
    head->expect_line = slice_of(line.ptr, line.len + 2);
    return HEAD_OK;
}

/* What the framing, the host and the connection depend on; other fields are only well-formed. */
static enum head_verdict check_known_field(slice line, slice name, slice value, struct head *head,
                                           struct seen *seen, struct head_refusal *refusal)
{
    switch (name.len) {
    case 4:
        if (slice_equal_nocase(name, SLICE("host")))
            return check_host(value, head, seen, refusal);
        break;
    case 6:
        if (slice_equal_nocase(name, SLICE("expect")))
            return check_expect(line, value, head, seen, refusal);
        break;
    case 10:
        if (slice_equal_nocase(name, SLICE("connection")))
            note_connection(value, head);
        break;
    case 14:
        if (slice_equal_nocase(name, SLICE("content-length")))
            return check_content_length(value, head, seen, refusal);
        break;
    case 17:
        if (slice_equal_nocase(name, SLICE("transfer-encoding")))
            return check_transfer_encoding(value, seen, refusal);
        break;
    default:
        break;
    }
    return HEAD_OK;
}

static enum head_verdict check_field(slice line, struct head *head, struct seen *seen,
                                     struct head_refusal *refusal)
{
    size_t colon = token_length(line);
    if (colon == 0 && (line.ptr[0] == ' ' || line.ptr[0] == '\t'))
        return refuse(refusal, 400, "a folded header line");
    if (colon == 0 || colon == line.len || line.ptr[colon] != ':')
        return refuse(refusal, 400, "a header line without a proper name");
    slice raw = slice_from(line, colon + 1);
    if (!consists_of(raw, IS_VALUE))
        return refuse(refusal, 400, "a header value with a control byte");
    slice name = slice_until(line, colon), value = slice_trim(raw);
    if (slice_equal_nocase(name, SLICE("content-length")) ||
        slice_equal_nocase(name, SLICE("transfer-encoding"))) {
        head->framing = value;
        head->framing_room = raw;
    }
    return check_known_field(line, name, value, head, seen, refusal);
}

/* --- the whole --- */

/* RFC 9112 §6.1, §6.3: one framing only. */
static enum head_verdict check_framing(struct head *head, const struct seen *seen,
                                       struct head_refusal *refusal)
{
    if (seen->transfer_encodings == 0)
        return HEAD_OK;
    if (seen->content_lengths)
        return refuse(refusal, 400, "Content-Length together with Transfer-Encoding");
    if (head->minor == 0)
        return refuse(refusal, 400, "Transfer-Encoding in HTTP/1.0");
    head->body = HEAD_BODY_CHUNKED;
    return HEAD_OK;
}

static enum head_verdict check_whole(struct head *head, const struct seen *seen,
                                     slice host_of_target, struct head_refusal *refusal)
{
    if (seen->hosts == 0)
        return refuse(refusal, 400, "Host is missing");
    if (host_of_target.ptr && !slice_equal_nocase(host_of_target, head->host))
        return refuse(refusal, 400, "Host differs from the request target");
    return check_framing(head, seen, refusal);
}

/* Takes the next line, without its CRLF; a CR anywhere else is refused. */
static enum head_verdict next_line(slice *rest, slice *line, struct head_refusal *refusal)
{
    size_t end = slice_find(*rest, '\n', 0);
    if (end == rest->len || end == 0 || rest->ptr[end - 1] != '\r')
        return refuse(refusal, 400, "a line does not end in CR LF");
    *line = slice_until(*rest, end - 1);
    *rest = slice_from(*rest, end + 1);
    return HEAD_OK;
}

enum head_verdict head_check(slice input, const struct head_limits *limits, struct head *head,
                             struct head_refusal *refusal)
{
    slice rest = input, line, host_of_target = SLICE_NONE;
    struct seen seen = {0};
    size_t fields = 0;
    *head = (struct head){.bytes = input.len};
    if (next_line(&rest, &line, refusal) == HEAD_REFUSED ||
        check_request_line(line, limits, head, &host_of_target, refusal) == HEAD_REFUSED)
        return HEAD_REFUSED;
    for (;;) {
        if (next_line(&rest, &line, refusal) == HEAD_REFUSED)
            return HEAD_REFUSED;
        if (line.len == 0)
            break;
        if (++fields > limits->fields)
            return refuse(refusal, 431, "the request has too many header fields");
        if (check_field(line, head, &seen, refusal) == HEAD_REFUSED)
            return HEAD_REFUSED;
    }
    if (rest.len != 0)
        return refuse(refusal, 400, "bytes behind the end of the head");
    return check_whole(head, &seen, host_of_target, refusal);
}
