/*
 * Tokens (RFC 9110 §5.6.2): methods, names of fields and of directives, parts of media types. Pure,
 * any thread.
 */
#pragma once

#include "base/slice.h"

bool is_token_byte(char c);
/* At least one byte, and nothing but such bytes. */
bool is_token(slice text);
/* How many bytes at the start of `text` are a token; 0: none. */
size_t token_length(slice text);
