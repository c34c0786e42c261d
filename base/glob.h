/* Names with '*' (any run of bytes): "utm_*", "*.example.com", "_ga*". Linear time. Pure. */
#pragma once

#include "base/slice.h"

bool glob_matches(slice pattern, slice text);
bool glob_matches_nocase(slice pattern, slice text);
