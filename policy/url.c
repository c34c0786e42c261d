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

/* Decodes once, in place; the new length. */
static size_t decode_once(char *text, size_t len)
{
    size_t out = 0;
    for (size_t in = 0; in < len; out++) {
        if (is_escape(text + in, len - in)) {
            text[out] = (char)(hex_value(text[in + 1]) * 16 + hex_value(text[in + 2]));
            in += 3;
        } else {
            text[out] = text[in++];
        }
    }
    return out;
}

static bool has_escape(slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (is_escape(text.ptr + i, text.len - i))
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

void url_decode_path(struct arena *arena, slice path, struct routing_path *routing)
{
    char *text = arena_alloc(arena, path.len + 1);
    slice decoded = {text, path.len};
    if (path.len)
        memcpy(text, path.ptr, path.len);
    *routing = (struct routing_path){.has_control = url_has_control_byte(decoded)};
    for (unsigned round = 0; round < DECODE_ROUNDS && has_escape(decoded); round++) {
        decoded.len = decode_once(text, decoded.len);
        routing->has_control |= url_has_control_byte(decoded);
    }
    routing->is_stable = !has_escape(decoded);
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
