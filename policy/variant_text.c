/* A key as people read it: what stands behind the URL. */
#include "policy/key_text.h"
#include "policy/rules.h"

/* FNV-1a: tells two values apart without showing them; nothing depends on its strength. */
static uint32_t hash_value(slice value)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < value.len; i++)
        hash = (hash ^ (uint8_t)value.ptr[i]) * 16777619u;
    return hash;
}

/* Printable ASCII, the rest as \xNN: the text goes to terminals and into JSON. */
static slice printable(struct arena *arena, slice text)
{
    static const char digits[] = "0123456789abcdef";
    char *out = arena_alloc(arena, text.len * 4 + 1);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte >= 0x20 && byte < 0x7f) {
            out[len++] = text.ptr[i];
        } else {
            out[len++] = '\\';
            out[len++] = 'x';
            out[len++] = digits[byte >> 4];
            out[len++] = digits[byte & 15];
        }
    }
    return slice_of(out, len);
}

static slice append(struct arena *arena, slice text, slice prefix, slice name, slice value)
{
    slice separator = text.len ? SLICE("; ") : SLICE_NONE;
    return arena_concat(arena, (slice[]){text, separator, prefix, printable(arena, name), value},
                        5);
}

static slice assigned(struct arena *arena, slice value, bool is_secret)
{
    if (is_secret)
        return arena_printf(arena, "=#%08x", (unsigned)hash_value(value));
    return arena_concat(arena, (slice[]){SLICE("="), printable(arena, value)}, 2);
}

static slice append_cookies(struct arena *arena, slice text, slice cookies)
{
    slice one;
    while (slice_next(&cookies, ';', &one)) {
        one = slice_trim(one);
        size_t equals = slice_find(one, '=', 0);
        text = append(arena, text, SLICE("cookie."), slice_until(one, equals),
                      assigned(arena, slice_from(one, equals + 1), true));
    }
    return text;
}

static bool is_secret_field(slice name)
{
    enum field_id id = field_id_of(name);
    return id == FIELD_COOKIE || id == FIELD_AUTHORIZATION;
}

slice forward_variant_text(slice key_text, struct arena *arena)
{
    slice text = SLICE(""), cookies = SLICE_NONE, name = SLICE_NONE, bytes;
    enum key_tag tag;
    while (key_text_next(&key_text, &tag, &bytes)) {
        if (tag == KEY_FIELD)
            name = bytes;
        else if (tag == KEY_VALUE)
            text = append(arena, text, SLICE_NONE, name,
                          assigned(arena, bytes, is_secret_field(name)));
        else if (tag == KEY_ABSENT)
            text = append(arena, text, SLICE("no "), bytes, SLICE_NONE);
        else if (tag == KEY_CLASS)
            text = append(arena, text, SLICE("{class}="), bytes, SLICE_NONE);
        else if (tag == KEY_BUILD)
            text = append(arena, text, SLICE("{build}="), bytes, SLICE_NONE);
        else if (tag == KEY_COOKIES)
            cookies = bytes;
    }
    return append_cookies(arena, text, cookies);
}
