/*
 * Globs: the pattern is cut at its stars; the first piece must begin the text, the last must end
 * it, and each piece between is taken at its leftmost place, which is always as good as any other.
 * So nothing is ever tried twice.
 */
#include "base/glob.h"

static bool starts_with(slice s, slice prefix, bool nocase)
{
    return nocase ? slice_starts_with_nocase(s, prefix) : slice_starts_with(s, prefix);
}

static size_t search(slice text, slice piece, bool nocase)
{
    if (!nocase)
        return slice_search(text, piece);
    for (size_t i = 0; i + piece.len <= text.len; i++)
        if (slice_starts_with_nocase(slice_from(text, i), piece))
            return i;
    return text.len;
}

static bool ends_with(slice text, slice piece, bool nocase)
{
    return text.len >= piece.len &&
           starts_with(slice_from(text, text.len - piece.len), piece, nocase);
}

static bool matches(slice pattern, slice text, bool nocase)
{
    size_t star = slice_find(pattern, '*', 0);
    slice piece = slice_until(pattern, star);
    if (!starts_with(text, piece, nocase))
        return false;
    if (star == pattern.len)
        return text.len == piece.len;
    text = slice_from(text, piece.len);
    for (;;) {
        pattern = slice_from(pattern, star + 1);
        star = slice_find(pattern, '*', 0);
        piece = slice_until(pattern, star);
        if (star == pattern.len)
            return ends_with(text, piece, nocase);
        size_t at = piece.len ? search(text, piece, nocase) : 0;
        if (at == text.len && piece.len)
            return false;
        text = slice_from(text, at + piece.len);
    }
}

bool glob_matches(slice pattern, slice text)
{
    return matches(pattern, text, false);
}

bool glob_matches_nocase(slice pattern, slice text)
{
    return matches(pattern, text, true);
}
