/* A key as people read it: what stands behind the URL. */
#include "base/text.h"
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
static void add_printable(struct text *out, slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        unsigned char byte = (unsigned char)bytes.ptr[i];
        if (byte >= 0x20 && byte < 0x7f)
            text_add(out, slice_of(bytes.ptr + i, 1));
        else
            text_add(out, slice_of((char[]){'\\', 'x', digits[byte >> 4], digits[byte & 15]}, 4));
    }
}

static void add_name(struct text *out, slice prefix, slice name)
{
    text_add(out, out->len ? SLICE("; ") : SLICE_NONE);
    text_add(out, prefix);
    add_printable(out, name);
}

static void add_value(struct text *out, slice value, bool is_secret)
{
    if (is_secret) {
        text_add(out, arena_printf(out->arena, "=#%08x", (unsigned)hash_value(value)));
        return;
    }
    text_add(out, SLICE("="));
    add_printable(out, value);
}

static void add_cookies(struct text *out, slice cookies)
{
    slice one;
    while (slice_next(&cookies, ';', &one)) {
        one = slice_trim(one);
        size_t equals = slice_find(one, '=', 0);
        add_name(out, SLICE("cookie."), slice_until(one, equals));
        add_value(out, slice_from(one, equals + 1), true);
    }
}

static bool is_secret_field(slice name)
{
    enum field_id id = field_id_of(name);
    return id == FIELD_COOKIE || id == FIELD_AUTHORIZATION;
}

slice forward_variant_text(slice key_text, struct arena *arena)
{
    struct text out = {.arena = arena};
    slice cookies = SLICE_NONE, name = SLICE_NONE, bytes;
    enum key_tag tag;
    while (key_text_next(&key_text, &tag, &bytes)) {
        if (tag == KEY_FIELD) {
            name = bytes;
        } else if (tag == KEY_VALUE) {
            add_name(&out, SLICE_NONE, name);
            add_value(&out, bytes, is_secret_field(name));
        } else if (tag == KEY_ABSENT) {
            add_name(&out, SLICE("no "), bytes);
        } else if (tag == KEY_CLASS) {
            add_name(&out, SLICE("{class}="), bytes);
        } else if (tag == KEY_BUILD) {
            add_name(&out, SLICE("{build}="), bytes);
        } else if (tag == KEY_COOKIES) {
            cookies = bytes;
        }
    }
    add_cookies(&out, cookies);
    return text_view(&out);
}
