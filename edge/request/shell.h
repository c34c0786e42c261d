/*
 * The shell: the static HTML of the single-page app, read from a file at start and again when it
 * changes (semantics 8.2). A request that is being answered keeps the bytes it started with.
 */
#pragma once

#include "cache/object.h"

struct shell;

/* NULL with a line in `error` (>= 256 bytes) when the file cannot be read. */
struct shell *shell_new(slice path, char *error);
void shell_free(struct shell *shell);
/* The present bytes, a reference for the caller. Any thread. */
struct blob *shell_body(struct shell *shell);
/* Looks whether the file has changed, and takes the new one if it can be read whole. Once a second,
 * one thread. */
void shell_refresh(struct shell *shell);
