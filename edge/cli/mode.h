/* What other commands say of the mode. */
#pragma once

#include <jansson.h>

/* A line for who reads the counters of GET /v1/stats; NULL: the mode is auto. */
const char *mode_notice(const json_t *stats);
