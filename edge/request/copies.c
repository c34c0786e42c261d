/* See copies.h. */
#include "edge/request/copies.h"

void request_copy(struct arena *arena, const struct request *from, struct request *to)
{
    *to = *from;
    to->arena = arena;
    to->method_text = arena_copy(arena, from->method_text);
    to->scheme = arena_copy(arena, from->scheme);
    to->host = arena_copy(arena, from->host);
    to->host_raw = arena_copy(arena, from->host_raw);
    to->target = arena_copy(arena, from->target);
    to->path = slice_until(to->target, from->path.len);
    to->query = arena_copy(arena, from->query);
    to->body = from->body.len ? arena_copy(arena, from->body) : SLICE_NONE;
    to->id = arena_copy(arena, from->id);
    fields_init(&to->fields, arena);
    fields_copy(&to->fields, &from->fields);
}

/* The newest build is a view that stays valid: origin_build(). */
void decision_copy(struct arena *arena, const struct decision *from, struct decision *to)
{
    slice *build = arena_new(arena, slice);
    *build = from->build ? *from->build : SLICE_NONE;
    *to = *from;
    to->query = arena_copy(arena, from->query);
    to->url_text = arena_copy(arena, from->url_text);
    to->tags.at = arena_array(arena, slice, from->tags.count);
    for (size_t i = 0; i < from->tags.count; i++)
        to->tags.at[i] = arena_copy(arena, from->tags.at[i]);
    to->build = build;
}
