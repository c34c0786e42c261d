#include "policy/cache_status.h"

#include "policy/structured.h"

/* sf-integer has 15 digits (RFC 9651 §3.3.1). */
static const int64_t INTEGER_MAX = 999999999999999;

enum { KEY_BYTES_MAX = 2048 };

static slice forward_text(enum cache_forward forward)
{
    switch (forward) {
    case FORWARD_NONE:
        break;
    case FORWARD_BYPASS:
        return SLICE("; fwd=bypass");
    case FORWARD_METHOD:
        return SLICE("; fwd=method");
    case FORWARD_URI_MISS:
        return SLICE("; fwd=uri-miss");
    case FORWARD_VARY_MISS:
        return SLICE("; fwd=vary-miss");
    case FORWARD_MISS:
        return SLICE("; fwd=miss");
    case FORWARD_REQUEST:
        return SLICE("; fwd=request");
    case FORWARD_STALE:
        return SLICE("; fwd=stale");
    }
    return SLICE("; hit");
}

/* Whole seconds downward: what ended half a second ago is no longer fresh. */
static int64_t seconds_of(duration d)
{
    int64_t seconds = d.ms / 1000 - (d.ms % 1000 < 0);
    return seconds > INTEGER_MAX ? INTEGER_MAX : seconds < -INTEGER_MAX ? -INTEGER_MAX : seconds;
}

/* As a sf-string, which holds printable ASCII only. */
static slice quoted(slice text, struct arena *arena)
{
    static const char hex[] = "0123456789abcdef";
    text = slice_until(text, KEY_BYTES_MAX);
    char *out = arena_alloc(arena, 3 * text.len + 2);
    size_t len = 0;
    out[len++] = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char byte = (unsigned char)text.ptr[i];
        if (byte < 0x20 || byte > 0x7e) {
            out[len++] = '%';
            out[len++] = hex[byte >> 4];
            out[len++] = hex[byte & 15];
            continue;
        }
        if (byte == '"' || byte == '\\')
            out[len++] = '\\';
        out[len++] = (char)byte;
    }
    out[len++] = '"';
    return slice_of(out, len);
}

enum { PARTS_MAX = 16 };

struct parts {
    struct arena *arena;
    slice at[PARTS_MAX];
    size_t count;
};

static void add(struct parts *parts, slice name, slice value)
{
    parts->at[parts->count++] = name;
    parts->at[parts->count++] = value;
}

/* Parameters that mean something only where `fwd` is (§2.3, §2.5, §2.6). */
static void add_forwarding(struct parts *parts, const struct cache_status *s)
{
    if (s->forward_status)
        add(parts, SLICE("; fwd-status="), arena_decimal(parts->arena, s->forward_status));
    if (s->is_stored)
        add(parts, SLICE("; stored"), SLICE_NONE);
    if (s->collapse != COLLAPSE_NONE)
        add(parts, SLICE("; collapsed"),
            s->collapse == COLLAPSE_IN_VAIN ? SLICE("=?0") : SLICE_NONE);
}

static void add_member(struct parts *parts, const struct cache_status *s)
{
    add(parts, SLICE("varve"), s->is_generated ? SLICE_NONE : forward_text(s->forward));
    if (!s->is_generated && s->forward != FORWARD_NONE)
        add_forwarding(parts, s);
    if (duration_is_given(s->ttl))
        add(parts, SLICE("; ttl="), arena_decimal(parts->arena, seconds_of(s->ttl)));
    if (s->key.len)
        add(parts, SLICE("; key="), quoted(s->key, parts->arena));
    if (s->detail.len)
        add(parts, SLICE("; detail="), s->detail);
}

static void ignore_member(void *arg, const struct sf_member *member)
{
    (void)arg;
    (void)member;
}

slice cache_status_append(slice before, const struct cache_status *status, struct arena *arena)
{
    struct parts parts = {.arena = arena};
    before = slice_trim(before);
    if (before.len && sf_list_each(before, ignore_member, NULL))
        add(&parts, before, SLICE(", "));
    add_member(&parts, status);
    return arena_concat(arena, parts.at, parts.count);
}
