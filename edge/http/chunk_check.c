/*
 *     *( 1*15HEXDIG [ ";" extension ] CRLF data CRLF )  "0" [ ";" extension ] CRLF
 *     *( trailer-field CRLF ) CRLF
 *
 * No bare LF, no space around the size, extensions and trailers together at most SIDE_MAX_BYTES.
 */
#include "edge/http/chunk_check.h"

#include "base/token.h"

enum { DIGITS_MAX = 15, SIDE_MAX_BYTES = 4096 };

static bool is_text(char c)
{
    return c == '\t' || ((uint8_t)c >= 0x20 && c != 0x7f);
}

static bool count_side(struct chunk_scan *scan, char c)
{
    return is_text(c) && ++scan->side_bytes <= SIDE_MAX_BYTES;
}

static bool take_size(struct chunk_scan *scan, char c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        scan->left = scan->left * 16 + (uint64_t)digit;
        return ++scan->digits <= DIGITS_MAX;
    }
    if (scan->digits == 0 || (c != ';' && c != '\r'))
        return false;
    scan->state = c == ';' ? CHUNK_EXTENSION : CHUNK_SIZE_LF;
    return true;
}

static bool take_extension(struct chunk_scan *scan, char c)
{
    if (c != '\r')
        return count_side(scan, c);
    scan->state = CHUNK_SIZE_LF;
    return true;
}

static bool end_size_line(struct chunk_scan *scan, char c)
{
    if (c != '\n')
        return false;
    scan->digits = 0;
    scan->trailer_line_bytes = 0;
    scan->data_bytes += scan->left; /* at most 16^15 each time: cannot wrap before the limit */
    scan->state = scan->left ? CHUNK_DATA : CHUNK_TRAILER;
    return scan->data_bytes >= scan->left;
}

/* name ":" value: without a name it is a folded line, without a colon perhaps another request. */
static bool take_trailer(struct chunk_scan *scan, char c)
{
    if (scan->trailer_line_bytes == 0)
        scan->is_in_name = c != '\r';
    if (c == '\r') {
        scan->state = CHUNK_TRAILER_LF;
        return !scan->is_in_name;
    }
    bool is_colon = c == ':' && scan->trailer_line_bytes > 0;
    if (scan->is_in_name && !is_colon && !is_token_byte(c))
        return false;
    if (is_colon)
        scan->is_in_name = false;
    scan->trailer_line_bytes++;
    return count_side(scan, c);
}

static bool end_trailer_line(struct chunk_scan *scan, char c)
{
    scan->state = scan->trailer_line_bytes ? CHUNK_TRAILER : CHUNK_END;
    scan->trailer_line_bytes = 0;
    return c == '\n';
}

static bool expect_byte(struct chunk_scan *scan, char c, char expected, enum chunk_state next)
{
    scan->state = next;
    return c == expected;
}

static bool take_byte(struct chunk_scan *scan, char c)
{
    switch (scan->state) {
    case CHUNK_SIZE:
        return take_size(scan, c);
    case CHUNK_EXTENSION:
        return take_extension(scan, c);
    case CHUNK_SIZE_LF:
        return end_size_line(scan, c);
    case CHUNK_DATA_CR:
        return expect_byte(scan, c, '\r', CHUNK_DATA_LF);
    case CHUNK_DATA_LF:
        return expect_byte(scan, c, '\n', CHUNK_SIZE);
    case CHUNK_TRAILER:
        return take_trailer(scan, c);
    case CHUNK_TRAILER_LF:
        return end_trailer_line(scan, c);
    case CHUNK_DATA:
    case CHUNK_END:
        break;
    }
    return false;
}

static size_t skip_data(struct chunk_scan *scan, size_t available)
{
    size_t taken = scan->left < available ? (size_t)scan->left : available;
    scan->left -= taken;
    if (scan->left == 0)
        scan->state = CHUNK_DATA_CR;
    return taken;
}

enum chunk_verdict chunk_scan(struct chunk_scan *scan, slice bytes, size_t *used)
{
    size_t at = 0;
    while (at < bytes.len && scan->state != CHUNK_END) {
        if (scan->state == CHUNK_DATA)
            at += skip_data(scan, bytes.len - at);
        else if (!take_byte(scan, bytes.ptr[at++]))
            return CHUNK_BAD;
    }
    *used = at;
    return scan->state == CHUNK_END ? CHUNK_DONE : CHUNK_MORE;
}
