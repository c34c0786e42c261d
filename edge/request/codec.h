/* Whole bodies to and from gzip (zlib) and br (brotli). Pure; slow, so not on a loop but for small
 * bodies. Any thread. */
#pragma once

#include "cache/object.h"

/* At most so long is a body that holds nothing, coded: 20 bytes of gzip, a few of br. */
enum { CODED_NOTHING_BYTES = 64 };

/* A new reference; NULL if coding did not make it smaller. */
struct blob *body_encode(enum coding coding, const struct blob *plain);
/* A new reference; NULL if it is damaged, cut off or longer than `max_bytes`. */
struct blob *body_decode(enum coding coding, const struct blob *coded, size_t max_bytes);
