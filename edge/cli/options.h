/* The options that every command has which talks to the daemon. */
#pragma once

#include "edge/cli/admin_client.h"

#include <getopt.h>

/* Rows for a command's table of long options; the values are outside those of characters. */
enum { OPTION_ADMIN = 256, OPTION_CONFIG, OPTION_TOKEN_FILE, OPTION_JSON, OPTION_HELP, OPTION_OWN };
#define DAEMON_OPTIONS_ROWS                                                                        \
    {"admin", required_argument, NULL, OPTION_ADMIN},                                              \
        {"config", required_argument, NULL, OPTION_CONFIG},                                        \
        {"token-file", required_argument, NULL, OPTION_TOKEN_FILE},                                \
        {"json", no_argument, NULL, OPTION_JSON},                                                  \
    {                                                                                              \
        "help", no_argument, NULL, OPTION_HELP                                                     \
    }

/* A command's own options. False: cli_usage() was called. */
typedef bool (*option_taker)(int option, slice value, void *arg);

/*
 * Reads all options (`short_options` holds an h for help): the common ones into `target`, others
 * through `take` (may be NULL). -1: go on with the words from `optind`; else the exit status (help
 * was printed, or a mistake named).
 */
int options_read(int argc, char **argv, const char *short_options, const struct option *rows,
                 struct admin_target *target, option_taker take, void *arg);

/*
 * The whole of a command that asks one question: finds the daemon, asks, prints the answer as
 * tables or raw. Returns the exit status.
 */
int daemon_ask(struct admin_target *target, const char *method, slice path, const char *body,
               int timeout_ms);

enum { ASK_MS = 30000 };
