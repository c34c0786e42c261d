/* A small file of the user's (shell, error page) as counted bytes: 1 byte to 4 MiB. Blocks:
 * not on the hot path. */
#pragma once

#include "cache/object.h"

/* NULL with a line in `error` that names the file and the cause. */
struct blob *file_blob(slice path, char *error, size_t error_bytes);
