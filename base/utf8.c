/* See utf8.h. */
#include "base/utf8.h"

enum { LETTER_MAX = 4 };

static bool is_continuation(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

size_t utf8_length(slice s)
{
    const unsigned char *b = (const unsigned char *)s.ptr;
    if (s.len == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    if (b[0] >= 0xc2 && b[0] < 0xe0)
        return s.len >= 2 && is_continuation(b[1]) ? 2 : 0;
    if (b[0] >= 0xe0 && b[0] < 0xf0 && s.len >= 3 && is_continuation(b[1]) && is_continuation(b[2]))
        return (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xed && b[1] >= 0xa0) ? 0 : 3;
    if (b[0] >= 0xf0 && b[0] < 0xf5 && s.len >= 4 && is_continuation(b[1]) &&
        is_continuation(b[2]) && is_continuation(b[3]))
        return (b[0] == 0xf0 && b[1] < 0x90) || (b[0] == 0xf4 && b[1] >= 0x90) ? 0 : 4;
    return 0;
}

slice utf8_until(slice s, size_t end)
{
    if (end >= s.len)
        return s;
    for (size_t start = end; start > 0 && end - start < LETTER_MAX; start--)
        if (utf8_length(slice_from(s, start - 1)) > end - (start - 1))
            return slice_until(s, start - 1);
    return slice_until(s, end);
}

bool utf8_is_control(slice s)
{
    const unsigned char *b = (const unsigned char *)s.ptr;
    return s.len > 0 && (b[0] < 0x20 || b[0] == 0x7f ||
                         (b[0] == 0xc2 && s.len > 1 && b[1] >= 0x80 && b[1] < 0xa0));
}

size_t utf8_show(char *into, slice *text)
{
    static const char DIGITS[] = "0123456789abcdef";
    size_t letter = utf8_length(*text), taken = letter ? letter : 1, written = 0;
    if (text->len == 0)
        return 0;
    bool is_shown = letter && !utf8_is_control(*text);
    for (size_t i = 0; i < taken; i++) {
        unsigned char c = (unsigned char)text->ptr[i];
        if (is_shown) {
            into[written++] = (char)c;
        } else {
            memcpy(into + written, (char[]){'\\', 'x', DIGITS[c >> 4], DIGITS[c & 15]}, 4);
            written += 4;
        }
    }
    *text = slice_from(*text, taken);
    return written;
}
