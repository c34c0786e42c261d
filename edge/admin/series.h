/* Prometheus texts: labels and the exposition format. */
#pragma once

#include "edge/server.h"

enum { SERIES_LABEL_BYTES = 64 }; /* three labels and a name fit a counter's name */

/* Writes `name="value"`, the value escaped and cut to fit; returns a view of `buffer`, which is
 * NUL-terminated. */
slice series_label(char *buffer, size_t size, const char *name, slice value);
