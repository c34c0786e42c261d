/*
 * One byte at a time for the lines around the data, whole views for the data. Extensions and
 * trailers are checked for form and dropped: nothing of ours uses them, and a trailer must never
 * become a header (RFC 9110 §6.5.1).
 */
#include "edge/origin/chunked.h"

#include "base/token.h"

enum {
    SIZE,
    BLANKS,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,
    TRAILER_NAME,
    TRAILER,
    TRAILER_LF,
    LAST_LF
};

/* Above this a sum of sizes could overflow somewhere; nobody sends such a chunk in good faith. */
static const uint64_t CHUNK_MAX_BYTES = UINT64_C(1) << 62;

void chunked_init(struct chunked *chunked)
{
    *chunked = (struct chunked){.state = SIZE};
}

static bool is_line_byte(char c)
{
    return c == '\t' || ((unsigned char)c >= 0x20 && c != 0x7f);
}

/* Some servers pad the size with blanks; an extension starts with ';'. */
static bool end_size(struct chunked *chunked, char c)
{
    bool is_blank = c == ' ' || c == '\t';
    chunked->state = c == '\r' ? SIZE_LF : is_blank ? BLANKS : EXTENSION;
    return ++chunked->line_bytes <= CHUNK_LINE_MAX_BYTES && (is_blank || c == '\r' || c == ';');
}

static bool take_size_byte(struct chunked *chunked, char c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (++chunked->digits > 16 || chunked->left > CHUNK_MAX_BYTES / 16)
            return false;
        chunked->left = chunked->left * 16 + (uint64_t)digit;
        return true;
    }
    return chunked->digits > 0 && end_size(chunked, c);
}

/* In front of the colon. A line without one could be the next answer, behind a forgotten end. */
static bool take_name_byte(struct chunked *chunked, char c)
{
    bool is_first = chunked->state == TRAILER_START;
    chunked->state = c == ':' ? TRAILER : TRAILER_NAME;
    return is_token_byte(c) || (c == ':' && !is_first);
}

static bool take_trailer_byte(struct chunked *chunked, char c)
{
    if (++chunked->trailer_bytes > CHUNK_TRAILERS_MAX_BYTES)
        return false;
    if (c == '\r' && chunked->state != TRAILER_NAME) {
        chunked->state = chunked->state == TRAILER_START ? LAST_LF : TRAILER_LF;
        return true;
    }
    return chunked->state == TRAILER ? is_line_byte(c) : take_name_byte(chunked, c);
}

/* A byte outside the data; false if it may not stand here. */
static bool take_byte(struct chunked *chunked, char c)
{
    switch (chunked->state) {
    case SIZE:
        return take_size_byte(chunked, c);
    case BLANKS:
        return end_size(chunked, c);
    case EXTENSION:
        if (c == '\r')
            chunked->state = SIZE_LF;
        return ++chunked->line_bytes <= CHUNK_LINE_MAX_BYTES && (c == '\r' || is_line_byte(c));
    case SIZE_LF:
        chunked->state = chunked->left > 0 ? DATA : TRAILER_START;
        return c == '\n';
    case DATA_CR:
        chunked->state = DATA_LF;
        return c == '\r';
    case DATA_LF:
        chunked->state = SIZE;
        chunked->digits = 0;
        chunked->line_bytes = 0;
        return c == '\n';
    case TRAILER_LF:
        chunked->state = TRAILER_START;
        return c == '\n';
    default:
        return take_trailer_byte(chunked, c);
    }
}

static slice take_data(struct chunked *chunked, slice *input)
{
    size_t bytes = chunked->left < input->len ? (size_t)chunked->left : input->len;
    slice data = slice_until(*input, bytes);
    *input = slice_from(*input, bytes);
    chunked->left -= bytes;
    if (chunked->left == 0)
        chunked->state = DATA_CR;
    return data;
}

enum chunked_event chunked_next(struct chunked *chunked, slice *input, slice *data)
{
    while (input->len > 0) {
        if (chunked->state == DATA) {
            *data = take_data(chunked, input);
            return CHUNKED_DATA;
        }
        char c = input->ptr[0];
        *input = slice_from(*input, 1);
        if (chunked->state == LAST_LF)
            return c == '\n' ? CHUNKED_END : CHUNKED_BAD;
        if (!take_byte(chunked, c))
            return CHUNKED_BAD;
    }
    return CHUNKED_NEED_MORE;
}
