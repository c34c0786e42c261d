/*
 * The log: a fixed phrase plus fields, one line each, written by a thread of its own from a bounded
 * ring, so that no caller ever blocks on a disk or a pipe; when the ring is full, lines are dropped
 * and counted (semantics 9.7). Before log_start() lines go straight to stderr. Any thread. Control
 * bytes are escaped. Never bodies, cookies or credentials.
 */
#pragma once

#include "base/slice.h"

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

struct log_field {
    const char *name; /* NULL ends the list */
    slice text;       /* empty, with or without a pointer: "" */
    int64_t integer;
    bool is_number; /* then `integer` counts; LOG_NUMBER() sets both */
};

#define LOG_NUMBER(value) .integer = (value), .is_number = true

/* A field has a text or a number, so members are always left out, on purpose. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* log_info("worker started", {"pid", LOG_NUMBER(pid)}, {"name", name}) */
#define log_error(phrase, ...)                                                                     \
    log_line(LOG_LEVEL_ERROR, phrase, (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_warn(phrase, ...)                                                                      \
    log_line(LOG_LEVEL_WARN, phrase, (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_info(phrase, ...)                                                                      \
    log_line(LOG_LEVEL_INFO, phrase, (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})
#define log_debug(phrase, ...)                                                                     \
    log_line(LOG_LEVEL_DEBUG, phrase, (struct log_field[]){__VA_ARGS__ __VA_OPT__(, ){0}})

void log_line(enum log_level level, const char *phrase, const struct log_field *fields);
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/*
 * Starts the thread. `access_path`: "-" is stdout, empty is none; opened for appending. 0 or errno.
 * A forked child has no thread: it logs to stderr directly and may start a thread of its own.
 */
int log_start(slice access_path);
/*
 * Writes what is queued and ends the thread; gives up after a second on a pipe that nobody reads.
 * Start and stop are called by one thread; after stop, log_access() drops.
 */
void log_stop(void);
/* Opens the access log anew (SIGUSR1). */
void log_reopen(void);
/* One finished line of the access log, newline included. False: dropped. With the access log off,
 * true. */
bool log_access(slice line);
uint64_t log_dropped(void);
