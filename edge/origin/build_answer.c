#include "edge/origin/build_answer.h"

#include <jansson.h>

static bool is_id(slice text)
{
    if (text.len == 0 || text.len > BUILD_MAX_BYTES || text.ptr[0] == '<')
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < ' ' || text.ptr[i] > '~')
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static slice trim(slice text)
{
    while (text.len > 0 && is_blank(text.ptr[0]))
        text = slice_from(text, 1);
    while (text.len > 0 && is_blank(text.ptr[text.len - 1]))
        text.len--;
    return text;
}

/* It goes into a field (`{build}`), whose value has no blanks around it. */
static slice id_of(struct arena *arena, slice text)
{
    text = trim(text);
    return is_id(text) ? arena_copy(arena, text) : SLICE_NONE;
}

static slice id_in_json(struct arena *arena, slice body)
{
    json_t *json = json_loadb(body.ptr, body.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    const json_t *version = json_is_object(json) ? json_object_get(json, "version") : json;
    slice id = json_is_string(version)
                   ? id_of(arena, slice_of(json_string_value(version), json_string_length(version)))
                   : SLICE_NONE;
    json_decref(json);
    return id;
}

slice build_answer_id(struct arena *arena, slice body)
{
    slice text = trim(body);
    bool is_json = text.len > 0 && (text.ptr[0] == '{' || text.ptr[0] == '"');
    return is_json ? id_in_json(arena, text) : id_of(arena, text);
}
