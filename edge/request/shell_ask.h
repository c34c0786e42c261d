/*
 * The shell as an origin's light answer (semantics 8.2): asked for anew each time, on behalf of
 * nobody: no cookies, nothing of the client's that a sealed fill would not carry. It takes none of
 * the renderer's slots, has `shell.slots` of its own, and `shell.timeout` for the whole of it.
 *
 * The loop's thread. An ask outlives its asker: its slot is taken until the origin has answered, so
 * that a renderer that hangs makes the clients of the first few asks wait, and not all.
 */
#pragma once

#include "cache/object.h"
#include "edge/server.h"

struct shell_ask;

enum shell_ask_state { SHELL_ASK_WAITS, SHELL_ASK_GIVEN, SHELL_ASK_FAILED };

/* NULL: no origin is configured, or its slots are taken. `wake` is posted once it no longer waits.
 */
struct shell_ask *shell_ask_start(struct server *server, struct loop *loop,
                                  const struct request *request, const struct decision *decision,
                                  struct loop_message *wake);
enum shell_ask_state shell_ask_state(const struct shell_ask *ask);
/* What was given: a reference for the caller, and the fields that go with it, views that live until
 * shell_ask_leave(). */
struct blob *shell_ask_body(const struct shell_ask *ask, const struct fields **fields);
/* The asker goes; *ask is NULL then. Fine with NULL inside. */
void shell_ask_leave(struct shell_ask **ask);
