/*
 * A slice is a view of bytes that somebody else owns. It is never NUL-terminated by contract and
 * may hold NUL bytes. All functions are pure and may be called from any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    const char *ptr; /* NULL only together with len 0 */
    size_t len;
} slice;

#define SLICE(literal) ((slice){"" literal, sizeof(literal) - 1})
#define SLICE_NONE     ((slice){NULL, 0})
/* For printf: printf("%" SLICE_FMT, SLICE_ARG(s)) */
#define SLICE_FMT    ".*s"
#define SLICE_ARG(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline slice slice_of(const char *ptr, size_t len)
{
    return (slice){ptr, len};
}

static inline slice slice_of_string(const char *text)
{
    return (slice){text, text ? strlen(text) : 0};
}

static inline bool slice_is_empty(slice s)
{
    return s.len == 0;
}

static inline bool slice_equal(slice a, slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Value of a hexadecimal digit, or -1. */
int hex_value(char c);

bool slice_equal_nocase(slice a, slice b); /* ASCII only */
bool slice_starts_with(slice s, slice prefix);
bool slice_ends_with(slice s, slice suffix);
bool slice_starts_with_nocase(slice s, slice prefix);
int slice_compare(slice a, slice b); /* bytewise order, shorter first on a tie */
slice slice_trim(slice s); /* without leading and trailing OWS (RFC 9110 §5.6.3: SP and HTAB) */
slice slice_from(slice s, size_t start); /* the part from `start` on; empty if start >= len */
slice slice_until(slice s, size_t end);  /* the first `end` bytes, or all of s */

/* Index of the first `c` at or after `start`, else s.len. */
size_t slice_find(slice s, char c, size_t start);
/* Index of the first `needle`, else s.len. */
size_t slice_search(slice s, slice needle);

/*
 * Takes the part up to the next `separator` out of *rest and leaves what follows in it. False when
 * *rest is used up. `slice rest = s, part; while (slice_next(&rest, ',', &part)) …` visits every
 * part, empty ones too; rest.ptr becomes NULL after the last one.
 */
bool slice_next(slice *rest, char separator, slice *part);

/*
 * Next member of a comma-separated field value (RFC 9110 §5.6.1), trimmed; commas inside
 * quoted-strings do not count; empty members are skipped. Use as slice_next.
 */
bool slice_next_member(slice *rest, slice *member);
/* The same for parameters, which semicolons separate (RFC 9110 §5.6.6). */
bool slice_next_parameter(slice *rest, slice *parameter);

/* 1*DIGIT and nothing else; saturates at UINT64_MAX. False for anything else, also for an empty
 * slice. */
bool slice_to_u64(slice s, uint64_t *value);
