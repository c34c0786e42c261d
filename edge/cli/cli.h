/*
 * The command line: one function per command, listed in cli.c. Exit status: 0 ok, 1 finding or
 * failure, 2 usage or bad configuration, 3 the daemon cannot be reached.
 */
#pragma once

#include "base/slice.h"

enum { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_UNREACHABLE = 3 };

struct command {
    const char *name;
    int (*run)(int argc, char **argv, const struct command *self);
    const char *summary; /* one line, for `varve --help` */
    const char *help;    /* all of `varve NAME --help` */
};

int cli_main(int argc, char **argv);

/* "varve purge: " + message and where to find help, on stderr; returns CLI_USAGE. */
int cli_usage(const struct command *self, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
int cli_help(const struct command *self); /* on stdout; returns CLI_OK */

int cli_run(int argc, char **argv, const struct command *self);
int cli_check(int argc, char **argv, const struct command *self);
int cli_init(int argc, char **argv, const struct command *self);
int cli_purge(int argc, char **argv, const struct command *self);
int cli_explain(int argc, char **argv, const struct command *self);
int cli_variants(int argc, char **argv, const struct command *self);
int cli_stat(int argc, char **argv, const struct command *self);
int cli_simulate(int argc, char **argv, const struct command *self);
int cli_mode(int argc, char **argv, const struct command *self);
int cli_slots(int argc, char **argv, const struct command *self);
int cli_restart(int argc, char **argv, const struct command *self);
int cli_reload(int argc, char **argv, const struct command *self);
int cli_version(int argc, char **argv, const struct command *self);
