/*
 *   key    = url [ cookies ] [ class ] [ build ] *( field value / absent )
 *   url    = scheme host path [ query ] method
 *   item   = tag length ":" bytes            one of the above
 *   tag    = one letter of enum key_tag
 *   length = decimal, without leading zeros, of bytes
 *
 * For example  s5:https h8:shop.com p2:/a m1:G f15:accept-language v2:de a3:rsc  (without spaces).
 * Fields and absent ones stand in the order of their names. The method class is "G" for GET and
 * HEAD, the only one that is looked up. The first five items alone are the key of the URL's Vary
 * record.
 */
#include "policy/key_text.h"

enum { KEY_ITEM_HEAD = 24 }; /* tag, decimal size_t, ':' */

/* Decimal digits of `n` at `out`; how many. */
static size_t write_decimal(char *out, size_t n)
{
    char digits[KEY_ITEM_HEAD];
    size_t count = 0, len = 0;
    do {
        digits[count++] = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    while (count)
        out[len++] = digits[--count];
    return len;
}

void key_text_add(struct text *key, enum key_tag tag, slice bytes)
{
    char head[KEY_ITEM_HEAD] = {(char)tag};
    size_t len = 1 + write_decimal(head + 1, bytes.len);
    head[len++] = ':';
    text_add(key, slice_of(head, len));
    text_add(key, bytes);
}

bool key_text_next(slice *rest, enum key_tag *tag, slice *bytes)
{
    size_t colon = slice_find(*rest, ':', 0);
    uint64_t len;
    if (colon < 2 || colon >= rest->len ||
        !slice_to_u64(slice_of(rest->ptr + 1, colon - 1), &len) || len > rest->len - colon - 1)
        return false;
    *tag = (enum key_tag)rest->ptr[0];
    *bytes = slice_of(rest->ptr + colon + 1, (size_t)len);
    *rest = slice_from(*rest, colon + 1 + (size_t)len);
    return true;
}
