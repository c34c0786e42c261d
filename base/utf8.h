/* Letters of UTF-8 (RFC 3629) in bytes of which nobody knows whether they are. Any thread. */
#pragma once

#include "base/slice.h"

enum { UTF8_SHOWN_MAX = 8 };

/* Bytes of the letter at the start of `s`; 0: it is empty, or no letter begins there. Overlong
 * forms and surrogates are none. */
size_t utf8_length(slice s);
/* The first `end` bytes of `s`, or fewer: a letter is not cut apart. */
slice utf8_until(slice s, size_t end);
/* Is the letter at the start of `s` one that a terminal obeys (C0, DEL, C1: U+0080 to U+009F)? */
bool utf8_is_control(slice s);
/*
 * Takes the first letter out of *text and writes it as a terminal may have it: a control, and a
 * byte that is no UTF-8, as \xNN. Returns how many bytes were written, at most UTF8_SHOWN_MAX; 0 at
 * the end of the text.
 */
size_t utf8_show(char *into, slice *text);
