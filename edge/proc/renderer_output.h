/*
 * What a renderer writes to its stdout and stderr, as lines of varve's log. It is read as fast as
 * it comes, for a pipe that is not read blocks the renderer; how much of it reaches the log is
 * bounded: lines are cut at OUTPUT_LINE_BYTES, and beyond OUTPUT_LINES_PER_SECOND they are counted
 * and dropped. Master only.
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

enum {
    OUTPUT_LINE_BYTES = 1000,
    OUTPUT_LINES_PER_SECOND = 100,
    OUTPUT_BURST = 300,
    OUTPUT_RECENT_BYTES = 1500
};

struct output_stream {
    int fd; /* -1: closed */
    bool is_error;
    char line[OUTPUT_LINE_BYTES];
    size_t used; /* what is beyond the line's end is skipped */
};

struct renderer_output {
    struct output_stream out, err;
    slice name;     /* the worker's; a view */
    int64_t credit; /* thousandths of a line */
    mono_time credited;
    uint64_t dropped;
    mono_time told;
    /* the last lines of stderr, joined by " | ": what it said before it died */
    char recent[OUTPUT_RECENT_BYTES];
    size_t recent_used;
};

/* Takes two non-blocking descriptors. */
void output_open(struct renderer_output *output, slice name, int out, int err, mono_time now);
/* Reads what there is, at most 64 KiB of each stream: the master has more to do. */
void output_read(struct renderer_output *output, mono_time now);
/* Says, at most once a second, how many lines were dropped. */
void output_tell_dropped(struct renderer_output *output, mono_time now);
/* Reads the rest, ends broken lines, closes. `recent` stays. */
void output_close(struct renderer_output *output, mono_time now);
slice output_recent(const struct renderer_output *output);
