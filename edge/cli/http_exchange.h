/* One HTTP/1.1 request over a socket, blocking with limits: inside the admin client. */
#pragma once

#include "base/slice.h"

enum { HTTP_ANSWER_MAX = 64 << 20 };

/* Connects to "unix:/path" or "host:port" (a numeric address or a name). A descriptor, or -1 with
 * errno; EADDRNOTAVAIL also for a name that is unknown. */
int http_connect(slice address, int timeout_ms);

/*
 * Sends `request` (with `Connection: close`) and reads the answer to its end. True: `*status`, and
 * `*body` (malloc, NUL-terminated). False with a line in `error` (256 bytes). `timeout_ms` is for
 * each wait.
 */
bool http_exchange(int fd, slice request, int timeout_ms, int *status, char **body, size_t *length,
                   char *error);
