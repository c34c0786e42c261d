/* See renderer_output.h. */
#include "edge/proc/renderer_output.h"

#include "base/log.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

enum { READ_BYTES = 16384, READS_PER_TURN = 4, LAST_READS = 64 };

/* --- lines --- */

/* The master has no log thread: it must not wait for whoever reads its stderr. */
static bool is_log_ready(void)
{
    struct pollfd log = {.fd = STDERR_FILENO, .events = POLLOUT};
    return poll(&log, 1, 0) == 1 && (log.revents & POLLOUT);
}

static bool take_credit(struct renderer_output *output, mono_time now)
{
    static const int64_t MOST = (int64_t)OUTPUT_BURST * 1000;
    int64_t passed = mono_since(now, output->credited).ms;
    output->credited = now;
    output->credit = passed < MOST ? output->credit + passed * OUTPUT_LINES_PER_SECOND : MOST;
    if (output->credit > MOST)
        output->credit = MOST;
    if (output->credit < 1000)
        return false;
    output->credit -= 1000;
    return true;
}

/* Drops the oldest lines until `line` fits. */
static void remember(struct renderer_output *output, slice line)
{
    static const slice JOINT = {" | ", 3};
    line = slice_until(line, OUTPUT_RECENT_BYTES / 2);
    while (output->recent_used > 0 &&
           output->recent_used + JOINT.len + line.len > OUTPUT_RECENT_BYTES) {
        slice recent = slice_of(output->recent, output->recent_used);
        slice rest = slice_from(recent, slice_search(recent, JOINT) + JOINT.len);
        memmove(output->recent, rest.ptr, rest.len);
        output->recent_used = rest.len;
    }
    if (output->recent_used > 0) {
        memcpy(output->recent + output->recent_used, JOINT.ptr, JOINT.len);
        output->recent_used += JOINT.len;
    }
    memcpy(output->recent + output->recent_used, line.ptr, line.len);
    output->recent_used += line.len;
}

static void end_line(struct renderer_output *output, struct output_stream *stream, mono_time now)
{
    slice line = slice_of(stream->line, stream->used);
    stream->used = 0;
    if (line.len && line.ptr[line.len - 1] == '\r')
        line.len--;
    if (line.len == 0)
        return;
    if (stream->is_error)
        remember(output, line);
    enum log_level level = stream->is_error ? LOG_LEVEL_WARN : LOG_LEVEL_INFO;
    if (!log_is_on(level))
        return;
    if (!take_credit(output, now) || !is_log_ready()) {
        output->dropped++;
        return;
    }
    struct log_field fields[] = {{"worker", output->name},
                                 {"stream", stream->is_error ? SLICE("stderr") : SLICE("stdout")},
                                 {"line", line},
                                 {0}};
    log_line(level, "renderer says", fields);
}

static void take_bytes(struct renderer_output *output, struct output_stream *stream, slice bytes,
                       mono_time now)
{
    while (bytes.len) {
        size_t end = slice_find(bytes, '\n', 0);
        slice part = slice_until(bytes, end);
        part = slice_until(part, OUTPUT_LINE_BYTES - stream->used);
        memcpy(stream->line + stream->used, part.ptr, part.len);
        stream->used += part.len;
        if (end == bytes.len)
            return;
        end_line(output, stream, now);
        bytes = slice_from(bytes, end + 1);
    }
}

/* --- streams --- */

static void close_stream(struct renderer_output *output, struct output_stream *stream,
                         mono_time now)
{
    if (stream->fd < 0)
        return;
    end_line(output, stream, now);
    close(stream->fd);
    stream->fd = -1;
}

static void read_stream(struct renderer_output *output, struct output_stream *stream,
                        unsigned reads, mono_time now)
{
    char bytes[READ_BYTES];
    for (unsigned i = 0; i < reads && stream->fd >= 0; i++) {
        ssize_t count = read(stream->fd, bytes, sizeof(bytes));
        if (count < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (count <= 0)
            close_stream(output, stream, now);
        else
            take_bytes(output, stream, slice_of(bytes, (size_t)count), now);
    }
}

void output_open(struct renderer_output *output, slice name, int out, int err, mono_time now)
{
    *output = (struct renderer_output){.out = {.fd = out},
                                       .err = {.fd = err, .is_error = true},
                                       .name = name,
                                       .credit = (int64_t)OUTPUT_BURST * 1000,
                                       .credited = now,
                                       .told = now};
}

void output_read(struct renderer_output *output, mono_time now)
{
    read_stream(output, &output->err, READS_PER_TURN, now);
    read_stream(output, &output->out, READS_PER_TURN, now);
}

void output_tell_dropped(struct renderer_output *output, mono_time now)
{
    if (output->dropped == 0 || mono_since(now, output->told).ms < 1000 || !is_log_ready())
        return;
    log_warn("renderer says more than the log takes", {"worker", output->name},
             {"lines_dropped", LOG_NUMBER((int64_t)output->dropped)});
    output->dropped = 0;
    output->told = now;
}

void output_close(struct renderer_output *output, mono_time now)
{
    read_stream(output, &output->err, LAST_READS, now);
    read_stream(output, &output->out, LAST_READS, now);
    close_stream(output, &output->err, now);
    close_stream(output, &output->out, now);
}

slice output_recent(const struct renderer_output *output)
{
    return slice_of(output->recent, output->recent_used);
}
