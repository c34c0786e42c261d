/* The policy in force as YAML that loads again to the same policy. */
#include "policy/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void write_bytes(struct writer *w, const char *bytes, size_t count)
{
    if (w->count + count > w->capacity) {
        w->capacity = (w->count + count) * 2;
        w->bytes = mem_grow(w->bytes, w->capacity);
    }
    if (count)
        memcpy(w->bytes + w->count, bytes, count);
    w->count += count;
}

void write_format(struct writer *w, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    size_t count = length < 0 ? 0 : (size_t)length;
    write_bytes(w, text, count < sizeof(text) ? count : sizeof(text) - 1);
}

void write_line_start(struct writer *w)
{
    unsigned spaces = w->is_item ? w->indent - 2 : w->indent;
    write_format(w, "%*s%s", (int)spaces, "", w->is_item ? "- " : "");
    w->is_item = false;
}

void write_key(struct writer *w, slice key)
{
    write_line_start(w);
    write_scalar(w, key);
    write_bytes(w, ":", 1);
}

static bool is_plain_byte(char c, bool is_first)
{
    char lower = ascii_lower(c);
    if ((lower >= 'a' && lower <= 'z') || c == '/' || c == '_')
        return true;
    return !is_first && ((c >= '0' && c <= '9') || c == '.' || c == '-');
}

/* Texts that need no quotes: names and paths, but no word that other YAML readers take for
 * something else. */
static bool is_plain(slice text)
{
    unsigned index;
    char lower[8] = {0};
    for (size_t i = 0; i < text.len; i++) {
        if (!is_plain_byte(text.ptr[i], i == 0))
            return false;
        if (i < sizeof(lower) - 1)
            lower[i] = ascii_lower(text.ptr[i]);
    }
    slice word = slice_of(lower, text.len < sizeof(lower) ? text.len : sizeof(lower) - 1);
    return text.len > 0 && !word_index("true|false|yes|no|on|off|null|y|n", word, &index);
}

/* Decodes one character; the text has been checked to be UTF-8. */
static uint32_t character_at(slice text, size_t *length)
{
    unsigned char c = (unsigned char)text.ptr[0];
    *length = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
    if (*length > text.len)
        *length = 1;
    uint32_t character = *length == 1 ? c : c & (0xffu >> (*length + 1));
    for (size_t i = 1; i < *length; i++)
        character = character << 6 | ((unsigned char)text.ptr[i] & 0x3f);
    return character;
}

/* What a YAML reader would refuse or take for the end of a line. */
static bool needs_escape(uint32_t c)
{
    return (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c & 0xfffe) == 0xfffe;
}

void write_scalar(struct writer *w, slice text)
{
    if (is_plain(text)) {
        write_bytes(w, text.ptr, text.len);
        return;
    }
    write_bytes(w, "\"", 1);
    while (text.len) {
        size_t length;
        uint32_t c = character_at(text, &length);
        if (c == '"' || c == '\\')
            write_bytes(w, "\\", 1);
        else if (slice_starts_with(text, SLICE("${"))) /* not to be expanded again */
            write_bytes(w, "$", 1);
        if (needs_escape(c))
            write_format(w, "\\U%08x", (unsigned)c);
        else
            write_bytes(w, text.ptr, length);
        text = slice_from(text, length);
    }
    write_bytes(w, "\"", 1);
}

void write_list(struct writer *w, const struct slices *texts)
{
    write_bytes(w, "[", 1);
    for (size_t i = 0; i < texts->count; i++) {
        if (i > 0)
            write_bytes(w, ", ", 2);
        write_scalar(w, texts->at[i]);
    }
    write_bytes(w, "]", 1);
}

slice policy_effective(const struct policy *policy, struct arena *arena)
{
    struct writer w = {0};
    section_print(&w, &section_root, policy);
    slice text = arena_copy(arena, slice_of(w.bytes, w.count));
    free(w.bytes);
    return text;
}
