/*
 * RFC 9651 §4.2, the parsing algorithms, for a Dictionary, a List, and all that may stand in them.
 * No recursion: an inner list holds items only. Nothing is copied.
 *
 *   dictionary = pair *( OWS "," OWS pair )
 *   pair       = key [ "=" value ] *param
 *   list       = value *param *( OWS "," OWS value *param )
 *   value      = item / inner-list
 *   inner-list = "(" *( SP item ) ")"
 *   param      = ";" *SP key [ "=" item ]
 */
#include "policy/structured.h"

#include "base/token.h"

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_alpha(char c)
{
    return is_lower(ascii_lower(c));
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

static bool is_key_char(char c)
{
    return is_lower(c) || is_digit(c) || is_one_of(c, "_-.*");
}

static bool is_token_char(char c)
{
    return is_token_byte(c) || c == ':' || c == '/';
}

static bool is_base64_char(char c)
{
    return is_alpha(c) || is_digit(c) || is_one_of(c, "+/=");
}

static char first(slice in)
{
    return in.len ? in.ptr[0] : '\0';
}

static bool take(slice *in, char c)
{
    if (in->len == 0 || in->ptr[0] != c)
        return false;
    *in = slice_from(*in, 1);
    return true;
}

static void skip(slice *in, const char *set)
{
    while (is_one_of(first(*in), set))
        *in = slice_from(*in, 1);
}

/* The longest run of `is_part` off the front. */
static slice take_run(slice *in, bool (*is_part)(char))
{
    size_t end = 0;
    while (end < in->len && is_part(in->ptr[end]))
        end++;
    slice run = slice_until(*in, end);
    *in = slice_from(*in, end);
    return run;
}

static bool parse_key(slice *in, slice *key)
{
    if (!is_lower(first(*in)) && first(*in) != '*')
        return false;
    *key = take_run(in, is_key_char);
    return true;
}

/* Integers have at most 15 digits, decimals 12 before and 1 to 3 behind the point. */
static bool parse_number(slice *in, struct sf_member *item)
{
    enum { INTEGER_DIGITS = 15, WHOLE_DIGITS = 12, FRACTION_DIGITS = 3 };
    bool is_negative = take(in, '-');
    slice whole = take_run(in, is_digit);
    uint64_t value;
    if (whole.len > INTEGER_DIGITS || !slice_to_u64(whole, &value))
        return false;
    item->type = SF_INTEGER;
    item->integer = is_negative ? -(int64_t)value : (int64_t)value;
    if (!take(in, '.'))
        return true;
    item->type = SF_DECIMAL;
    slice fraction = take_run(in, is_digit);
    return whole.len <= WHOLE_DIGITS && fraction.len >= 1 && fraction.len <= FRACTION_DIGITS;
}

static bool parse_date(slice *in, struct sf_member *item)
{
    if (!take(in, '@') || !parse_number(in, item) || item->type != SF_INTEGER)
        return false;
    item->type = SF_DATE;
    return true;
}

static bool parse_string(slice *in, struct sf_member *item)
{
    item->type = SF_STRING;
    *in = slice_from(*in, 1);
    for (size_t i = 0; i < in->len; i++) {
        char c = in->ptr[i];
        if (c == '"') {
            item->text = slice_until(*in, i);
            *in = slice_from(*in, i + 1);
            return true;
        }
        if (c < 0x20 || c > 0x7e)
            return false;
        if (c == '\\' && (++i == in->len || !is_one_of(in->ptr[i], "\"\\")))
            return false;
    }
    return false;
}

static bool parse_token(slice *in, struct sf_member *item)
{
    item->type = SF_TOKEN;
    item->text = take_run(in, is_token_char);
    return true;
}

static bool parse_bytes(slice *in, struct sf_member *item)
{
    item->type = SF_BYTES;
    take(in, ':');
    take_run(in, is_base64_char);
    return take(in, ':');
}

static bool parse_boolean(slice *in, struct sf_member *item)
{
    item->type = SF_BOOLEAN;
    take(in, '?');
    item->boolean = first(*in) == '1';
    return take(in, '0') || take(in, '1');
}

/* The state of a UTF-8 decoder: how many continuation bytes are due, and what the next may be. */
struct utf8 {
    unsigned due;
    unsigned char low, high;
};

static bool utf8_lead(struct utf8 *u, unsigned char byte)
{
    if (byte < 0x80)
        return true;
    if (byte < 0xc2 || byte > 0xf4)
        return false;
    u->due = byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
    u->low = byte == 0xe0 ? 0xa0 : byte == 0xf0 ? 0x90 : 0x80;  /* else overlong */
    u->high = byte == 0xed ? 0x9f : byte == 0xf4 ? 0x8f : 0xbf; /* else surrogate, > U+10FFFF */
    return true;
}

static bool utf8_accepts(struct utf8 *u, unsigned char byte)
{
    if (u->due == 0)
        return utf8_lead(u, byte);
    if (byte < u->low || byte > u->high)
        return false;
    u->low = 0x80;
    u->high = 0xbf;
    u->due--;
    return true;
}

static int lower_hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_display_string(slice *in, struct sf_member *item)
{
    struct utf8 utf8 = {0};
    item->type = SF_DISPLAY_STRING;
    if (!take(in, '%') || !take(in, '"'))
        return false;
    while (in->len) {
        if (take(in, '"'))
            return utf8.due == 0;
        unsigned char byte = (unsigned char)in->ptr[0];
        if (byte < 0x20 || byte > 0x7e)
            return false;
        if (byte == '%') {
            int high = in->len > 2 ? lower_hex_digit(in->ptr[1]) : -1;
            int low = in->len > 2 ? lower_hex_digit(in->ptr[2]) : -1;
            if (high < 0 || low < 0)
                return false;
            byte = (unsigned char)(high * 16 + low);
            *in = slice_from(*in, 2);
        }
        *in = slice_from(*in, 1);
        if (!utf8_accepts(&utf8, byte))
            return false;
    }
    return false;
}

static bool parse_bare_item(slice *in, struct sf_member *item)
{
    char c = first(*in);
    if (c == '-' || is_digit(c))
        return parse_number(in, item);
    if (is_alpha(c) || c == '*')
        return parse_token(in, item);
    switch (c) {
    case '"':
        return parse_string(in, item);
    case ':':
        return parse_bytes(in, item);
    case '?':
        return parse_boolean(in, item);
    case '@':
        return parse_date(in, item);
    case '%':
        return parse_display_string(in, item);
    default:
        return false;
    }
}

static bool skip_parameters(slice *in)
{
    while (take(in, ';')) {
        struct sf_member ignored = {0};
        skip(in, " ");
        if (!parse_key(in, &ignored.key))
            return false;
        if (take(in, '=') && !parse_bare_item(in, &ignored))
            return false;
    }
    return true;
}

static bool parse_inner_list(slice *in, struct sf_member *member)
{
    member->type = SF_INNER_LIST;
    take(in, '(');
    for (;;) {
        struct sf_member ignored = {0};
        skip(in, " ");
        if (take(in, ')'))
            return true;
        if (!parse_bare_item(in, &ignored) || !skip_parameters(in))
            return false;
        if (first(*in) != ' ' && first(*in) != ')')
            return false;
    }
}

static bool parse_value(slice *in, struct sf_member *member)
{
    return first(*in) == '(' ? parse_inner_list(in, member) : parse_bare_item(in, member);
}

static bool parse_pair(slice *in, struct sf_member *member)
{
    *member = (struct sf_member){.type = SF_BOOLEAN, .boolean = true};
    if (!parse_key(in, &member->key))
        return false;
    if (take(in, '=')) {
        member->boolean = false;
        if (!parse_value(in, member))
            return false;
    }
    return skip_parameters(in);
}

static bool parse_list_member(slice *in, struct sf_member *member)
{
    *member = (struct sf_member){0};
    return parse_value(in, member) && skip_parameters(in);
}

static bool each_member(slice in, bool (*parse)(slice *in, struct sf_member *member),
                        void (*visit)(void *arg, const struct sf_member *member), void *arg)
{
    struct sf_member member;
    skip(&in, " ");
    while (in.len) {
        if (!parse(&in, &member))
            return false;
        visit(arg, &member);
        skip(&in, " \t");
        if (in.len == 0)
            return true;
        if (!take(&in, ','))
            return false;
        skip(&in, " \t");
        if (in.len == 0)
            return false; /* a comma must be followed by a member */
    }
    return true;
}

bool sf_dictionary_each(slice text, void (*visit)(void *arg, const struct sf_member *member),
                        void *arg)
{
    return each_member(text, parse_pair, visit, arg);
}

bool sf_list_each(slice text, void (*visit)(void *arg, const struct sf_member *member), void *arg)
{
    return each_member(text, parse_list_member, visit, arg);
}

slice sf_string_value(slice text, struct arena *arena)
{
    if (slice_find(text, '\\', 0) == text.len)
        return text;
    char *value = arena_alloc(arena, text.len);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '\\')
            i++;
        value[len++] = text.ptr[i];
    }
    return slice_of(value, len);
}
