/*
 * A small blocking HTTP/1.1 client for the admin listener: one request, one connection. Also the
 * options that all commands share which talk to the daemon.
 */
#pragma once

#include "base/arena.h"
#include "edge/cli/cli.h"

#include <jansson.h>

enum { ADMIN_ERROR_BYTES = 512 };

/* Where the daemon is, and how its answer is wanted. */
struct admin_target {
    slice address;      /* "unix:/path" or "host:port"; filled in by admin_find() */
    slice config;       /* --config */
    slice token_file;   /* --token-file */
    slice doubts;       /* errors of --config that may be why the daemon is not there */
    bool wants_json;    /* --json: the answer as it came */
    struct arena arena; /* of the texts above */
    const struct command *command;
};

void admin_target_init(struct admin_target *target, const struct command *command);
void admin_target_fini(struct admin_target *target);

/*
 * Finds the address if --admin did not say it: from --config, else the admin socket of a running
 * varve in the default places. CLI_OK, or the exit status; then a line is on stderr.
 */
int admin_find(struct admin_target *target);

struct admin_answer {
    int status; /* HTTP */
    char *body; /* malloc, NUL-terminated; json_decref and free by admin_answer_fini() */
    size_t length;
    json_t *json; /* NULL: it is none */
};

/*
 * One request. `body` is JSON or NULL. Waits up to `timeout_ms` for each piece of the answer.
 * CLI_OK, or an exit status with a line on stderr: unreachable, no permission, an answer that is no
 * HTTP.
 */
int admin_request(const struct admin_target *target, const char *method, slice path,
                  const char *body, int timeout_ms, struct admin_answer *answer);
void admin_answer_fini(struct admin_answer *answer);

/* What is wrong when the status is not 2xx, on stderr; returns CLI_FAILED, CLI_USAGE for a 400, or
 * CLI_OK for 2xx. */
int admin_judge(const struct admin_target *target, const struct admin_answer *answer);
