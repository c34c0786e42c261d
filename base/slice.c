#include "base/slice.h"

bool slice_equal_nocase(slice a, slice b)
{
    return a.len == b.len && slice_starts_with_nocase(a, b);
}

bool slice_starts_with(slice s, slice prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

bool slice_ends_with(slice s, slice suffix)
{
    return s.len >= suffix.len && slice_equal(slice_from(s, s.len - suffix.len), suffix);
}

bool slice_starts_with_nocase(slice s, slice prefix)
{
    if (s.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (ascii_lower(s.ptr[i]) != ascii_lower(prefix.ptr[i]))
            return false;
    return true;
}

int slice_compare(slice a, slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common ? memcmp(a.ptr, b.ptr, common) : 0;
    if (order != 0)
        return order;
    return a.len < b.len ? -1 : a.len > b.len;
}

static bool is_ows(char c)
{
    return c == ' ' || c == '\t';
}

slice slice_trim(slice s)
{
    while (s.len && is_ows(s.ptr[0]))
        s = slice_from(s, 1);
    while (s.len && is_ows(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

slice slice_from(slice s, size_t start)
{
    if (start >= s.len)
        return (slice){s.ptr ? s.ptr + s.len : NULL, 0};
    return (slice){s.ptr + start, s.len - start};
}

slice slice_until(slice s, size_t end)
{
    return end < s.len ? (slice){s.ptr, end} : s;
}

size_t slice_find(slice s, char c, size_t start)
{
    if (start >= s.len)
        return s.len;
    const char *found = memchr(s.ptr + start, c, s.len - start);
    return found ? (size_t)(found - s.ptr) : s.len;
}

size_t slice_search(slice s, slice needle)
{
    if (needle.len == 0)
        return 0;
    const char *found = s.len ? memmem(s.ptr, s.len, needle.ptr, needle.len) : NULL;
    return found ? (size_t)(found - s.ptr) : s.len;
}

static void advance(slice *rest, size_t end)
{
    *rest = end < rest->len ? slice_from(*rest, end + 1) : SLICE_NONE;
}

bool slice_next(slice *rest, char separator, slice *part)
{
    if (rest->ptr == NULL)
        return false;
    size_t end = slice_find(*rest, separator, 0);
    *part = slice_until(*rest, end);
    advance(rest, end);
    return true;
}

/* End of the member that starts at 0: the first separator outside a quoted-string. */
static size_t member_end(slice s, char separator)
{
    bool quoted = false;
    for (size_t i = 0; i < s.len; i++) {
        if (quoted && s.ptr[i] == '\\')
            i++;
        else if (s.ptr[i] == '"')
            quoted = !quoted;
        else if (s.ptr[i] == separator && !quoted)
            return i;
    }
    return s.len;
}

static bool next_member(slice *rest, char separator, slice *member)
{
    while (rest->ptr != NULL) {
        size_t end = member_end(*rest, separator);
        *member = slice_trim(slice_until(*rest, end));
        advance(rest, end);
        if (member->len)
            return true;
    }
    return false;
}

bool slice_next_member(slice *rest, slice *member)
{
    return next_member(rest, ',', member);
}

bool slice_next_parameter(slice *rest, slice *parameter)
{
    return next_member(rest, ';', parameter);
}

bool slice_to_u64(slice s, uint64_t *value)
{
    uint64_t sum = 0;
    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        sum = sum > (UINT64_MAX - digit) / 10 ? UINT64_MAX : sum * 10 + digit;
    }
    *value = sum;
    return true;
}

int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}
