/*
 * One normaliser for all routes: the weakest assumption about the server behind us is that it may
 * decode more, or less, than we do. So a path is read in both ways, and where the readings differ
 * in their route nothing is stored (semantics 1.3).
 */
#include "policy/url.h"

enum { DECODE_ROUNDS = 3 };

static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

bool url_has_control_byte(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (is_control(text.ptr[i]))
            return true;
    return false;
}

static bool is_escape(const char *at, size_t left)
{
    return left >= 3 && at[0] == '%' && hex_value(at[1]) >= 0 && hex_value(at[2]) >= 0;
}

/* %u002f, which was never a standard, and is still understood. */
static bool is_wide_escape(const char *at, size_t left)
{
    return left >= 6 && at[0] == '%' && ascii_lower(at[1]) == 'u' && hex_value(at[2]) >= 0 &&
           hex_value(at[3]) >= 0 && hex_value(at[4]) >= 0 && hex_value(at[5]) >= 0;
}

static int hex_pair(const char *at)
{
    return hex_value(at[0]) * 16 + hex_value(at[1]);
}

/* In UTF-8: shorter than its escape. Returns its length. */
static size_t put_wide(char *out, unsigned code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    out[0] = (char)(0xe0 | code >> 12);
    out[1] = (char)(0x80 | (code >> 6 & 0x3f));
    out[2] = (char)(0x80 | (code & 0x3f));
    return 3;
}

/* Decodes once, in place; the new length. */
static size_t decode_once(char *text, size_t len)
{
    size_t out = 0;
    for (size_t in = 0; in < len;) {
        if (is_escape(text + in, len - in)) {
            text[out++] = (char)hex_pair(text + in + 1);
            in += 3;
        } else if (is_wide_escape(text + in, len - in)) {
            out += put_wide(text + out,
                            (unsigned)(hex_pair(text + in + 2) << 8 | hex_pair(text + in + 4)));
            in += 6;
        } else {
            text[out++] = text[in++];
        }
    }
    return out;
}

/* Of a sequence as the first UTF-8 had it, of up to six bytes (RFC 2279); 1: no such byte begins
 * one. */
static size_t sequence_length(unsigned char first)
{
    size_t length = 0;
    while (length < 8 && first & 0x80U >> length)
        length++;
    return length >= 2 && length <= 6 ? length : 1;
}

/*
 * What lax decoders of UTF-8 take for ASCII: its overlong forms, and the full-width forms U+FF01 to
 * U+FF5E, by "best fit". The number of bytes; 0: it is none of them.
 */
static size_t lax_ascii(const char *text, size_t left, char *ascii)
{
    const unsigned char *at = (const unsigned char *)text;
    size_t length = left ? sequence_length(at[0]) : 1;
    if (length == 1 || length > left)
        return 0;
    uint32_t code = at[0] & 0x7fU >> length;
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (at[i] & 0x3fU);
    }
    if (code >= 0x80 && (code < 0xff01 || code > 0xff5e))
        return 0;
    *ascii = (char)(code < 0x80 ? code : code - 0xff00 + 0x20);
    return length;
}

/* In place; the new length. What it makes is ASCII, so it never makes anything new to fold. */
static size_t fold_lax_ascii(char *text, size_t len)
{
    size_t out = 0;
    for (size_t in = 0; in < len; out++) {
        size_t taken = lax_ascii(text + in, len - in, text + out);
        if (taken == 0)
            text[out] = text[in++];
        in += taken;
    }
    return out;
}

static bool is_encoded(slice text)
{
    char ascii;
    for (size_t i = 0; i < text.len; i++)
        if (is_escape(text.ptr + i, text.len - i) || is_wide_escape(text.ptr + i, text.len - i) ||
            lax_ascii(text.ptr + i, text.len - i, &ascii))
            return true;
    return false;
}

/* Removes the last segment of "/a/b". */
static size_t without_last_segment(const char *path, size_t len)
{
    while (len && path[len - 1] != '/')
        len--;
    return len ? len - 1 : 0;
}

static slice resolve_segments(struct arena *arena, slice path)
{
    char *out = arena_alloc(arena, path.len + 2);
    size_t len = 0;
    slice segment;
    while (slice_next(&path, '/', &segment)) {
        segment = slice_until(segment, slice_find(segment, ';', 0));
        if (segment.len == 0 || slice_equal(segment, SLICE(".")))
            continue;
        if (slice_equal(segment, SLICE(".."))) {
            len = without_last_segment(out, len);
            continue;
        }
        out[len++] = '/';
        for (size_t i = 0; i < segment.len; i++)
            out[len++] = ascii_lower(segment.ptr[i]);
    }
    if (len == 0)
        out[len++] = '/';
    return slice_of(out, len);
}

static size_t query_start(slice text)
{
    size_t mark = slice_find(text, '?', 0), hash = slice_find(text, '#', 0);
    return mark < hash ? mark : hash;
}

/* In place, until nothing is left to decode or the rounds are over. Was there a control byte at any
 * depth? */
static bool decode(char *text, size_t *len, bool is_lax)
{
    bool has_control = url_has_control_byte(slice_of(text, *len));
    for (unsigned round = 0; round < DECODE_ROUNDS && is_encoded(slice_of(text, *len)); round++) {
        *len = decode_once(text, *len);
        if (is_lax)
            *len = fold_lax_ascii(text, *len);
        has_control |= url_has_control_byte(slice_of(text, *len));
    }
    return has_control;
}

static bool has_plain_control(struct arena *arena, slice path)
{
    slice plain = arena_copy(arena, path);
    return decode((char *)plain.ptr, &plain.len, false);
}

/*
 * Only what is an escape beyond doubt may refuse a request. What is overlong UTF-8 is a letter in
 * other encodings: %C1%BF, which would be 7f, is one of GBK's. Folding hides no control byte, so
 * the plain reading is looked at only where the lax one has some.
 */
void url_decode_path(struct arena *arena, slice path, struct routing_path *routing)
{
    slice decoded = arena_copy(arena, path);
    char *text = (char *)decoded.ptr;
    bool is_doubtful = decode(text, &decoded.len, true);
    routing->has_control = is_doubtful && has_plain_control(arena, path);
    routing->is_stable = !is_doubtful && !is_encoded(decoded);
    for (size_t i = 0; i < decoded.len; i++)
        if (text[i] == '\\')
            text[i] = '/';
    routing->decoded = routing->cut = resolve_segments(arena, decoded);
    size_t cut = query_start(decoded);
    if (cut < decoded.len)
        routing->cut = resolve_segments(arena, slice_until(decoded, cut));
}

static bool is_unreserved(char c)
{
    char lower = ascii_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

slice url_percent_encode(struct arena *arena, slice text)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = arena_alloc(arena, text.len * 3 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (is_unreserved(text.ptr[i])) {
            out[len++] = text.ptr[i];
        } else {
            out[len++] = '%';
            out[len++] = digits[byte >> 4];
            out[len++] = digits[byte & 15];
        }
    }
    return slice_of(out, len);
}
