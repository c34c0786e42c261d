/* What varve itself lacks, where a connection to a worker cannot be made. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

/*
 * `problem`: errno of a socket() or connect() to `address` that failed. True: files, memory or
 * local ports are used up, or the backlog of a unix socket is full; that says nothing of the
 * worker. Any thread; sends nothing.
 */
bool lack_is_own(int problem, const struct sockaddr *address, socklen_t bytes);
