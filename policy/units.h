/* Durations and sizes as people write them. Any thread. */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

enum { UNIT_TEXT_BYTES = 32 };
bool units_parse_duration(slice text, duration *value); /* 250ms 30s 5m 1h 7d; 0 */
bool units_parse_size(slice text, uint64_t *bytes);     /* 512B 64KiB 16MiB 8GiB 1TiB; 0 */
slice units_format_duration(duration value, char text[UNIT_TEXT_BYTES]);
slice units_format_size(uint64_t bytes, char text[UNIT_TEXT_BYTES]);
