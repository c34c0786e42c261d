/* The client's side: in place of edge/request/sink.c and the front. What is sent goes to the model
 * at once, byte by byte. */
#include "tests/fuzz/edge/steps/model.h"

#include "base/must.h"
#include "edge/request/sink.h"

#include <stdlib.h>

enum { SEND_SLICES = 20 };

struct sink {
    struct visit *visit;
    const struct sink_events *events;
    void *owner;
    uint64_t bytes;
    bool is_started, is_ended, is_sending, is_dismissed;
    slice sent[SEND_SLICES]; /* of the send under way: read again when it is taken */
    size_t sent_count;
};

struct sink *__wrap_sink_new(h2o_req_t *req, const struct sink_events *events, void *owner);
void __wrap_sink_start(struct sink *sink, const struct sink_head *head);
bool __wrap_sink_is_started(const struct sink *sink);
void __wrap_sink_interim(struct sink *sink, unsigned status, slice reason,
                         const struct fields *fields);
void __wrap_sink_send(struct sink *sink, const slice *bytes, size_t count, bool is_last);
void __wrap_sink_await(struct sink *sink, bool is_awaited);
void __wrap_sink_break(struct sink *sink);
void __wrap_sink_dismiss(struct sink *sink);
uint64_t __wrap_sink_bytes(const struct sink *sink);
void __wrap_front_watch_client(h2o_req_t *h2o_req, void (*left)(void *owner), void *owner);

struct sink *__wrap_sink_new(h2o_req_t *req, const struct sink_events *events, void *owner)
{
    struct visit *visit = (struct visit *)(void *)req; /* nobody else looks into it */
    struct sink *sink = mem_alloc(sizeof(*sink));
    *sink = (struct sink){.visit = visit, .events = events, .owner = owner};
    visit->sink = sink;
    return sink;
}

void __wrap_front_watch_client(h2o_req_t *h2o_req, void (*left)(void *owner), void *owner)
{
    struct visit *visit = (struct visit *)(void *)h2o_req;
    visit->left = left;
    visit->left_owner = owner;
}

/* The request's memory goes with it. */
static void be_gone(struct sink *sink)
{
    struct visit *visit = sink->visit;
    MUST(!visit->is_gone);
    visit->is_gone = true;
    model_end_given(visit, false);
    visit->sink = NULL;
    sink->events->gone(sink->owner);
    arena_fini(&visit->arena);
    memset(&visit->request, 0xdb, sizeof(visit->request));
    free(sink);
}

static void end(struct sink *sink)
{
    sink->is_ended = true;
    sink->visit->is_over = true;
    if (sink->visit->gone_inside)
        be_gone(sink);
}

void __wrap_sink_start(struct sink *sink, const struct sink_head *head)
{
    MUST(!sink->is_started);
    sink->is_started = true;
    if (head->status == 499)
        sink->is_dismissed = true;
    else
        model_head_given(sink->visit, head);
}

void __wrap_sink_interim(struct sink *sink, unsigned status, slice reason,
                         const struct fields *fields)
{
    (void)reason;
    MUST(!sink->is_started);
    model_interim_given(sink->visit, status, fields);
}

bool __wrap_sink_is_started(const struct sink *sink)
{
    return sink->is_started;
}

void __wrap_sink_send(struct sink *sink, const slice *bytes, size_t count, bool is_last)
{
    struct visit *visit = sink->visit;
    MUST(sink->is_started && !sink->is_ended && !sink->is_sending && count <= SEND_SLICES);
    if (strcmp(visit->method, "HEAD") == 0)
        count = 0; /* as the real one */
    sink->sent_count = count;
    for (size_t i = 0; i < count; i++) {
        sink->bytes += bytes[i].len;
        sink->sent[i] = bytes[i];
        if (!sink->is_dismissed)
            model_bytes_given(visit, bytes[i]);
    }
    if (is_last && !sink->is_dismissed)
        model_end_given(visit, true);
    if (is_last)
        end(sink);
    else
        sink->is_sending = true;
}

void __wrap_sink_await(struct sink *sink, bool is_awaited)
{
    (void)is_awaited; /* this client reads when the input says so */
    MUST(!sink->is_ended);
}

void __wrap_sink_break(struct sink *sink)
{
    MUST(sink->is_started && !sink->is_ended && !sink->is_sending);
    model_end_given(sink->visit, false);
    end(sink);
}

void __wrap_sink_dismiss(struct sink *sink)
{
    MUST(!sink->is_started && sink->visit->has_left);
    sink->is_started = sink->is_dismissed = true;
    end(sink);
}

uint64_t __wrap_sink_bytes(const struct sink *sink)
{
    return sink->bytes;
}

/* What is being sent must be there until it is taken: the sanitizer sees to it. */
static void read_again(const struct sink *sink)
{
    volatile char sum = 0;
    for (size_t i = 0; i < sink->sent_count; i++)
        if (sink->sent[i].len)
            sum = (char)(sum ^ sink->sent[i].ptr[0] ^ sink->sent[i].ptr[sink->sent[i].len - 1]);
}

bool sinks_step(void)
{
    for (unsigned i = 0; i < world.visit_count; i++) {
        struct visit *visit = &world.visits[i];
        struct sink *sink = visit->sink;
        if (!sink || visit->is_stalled)
            continue;
        if (sink->is_ended) {
            read_again(sink);
            be_gone(sink);
            return true;
        }
        if (sink->is_sending) {
            read_again(sink);
            sink->is_sending = false;
            sink->sent_count = 0;
            sink->events->want(sink->owner);
            return true;
        }
    }
    return false;
}

void sink_leave(struct visit *visit)
{
    struct sink *sink = visit->sink;
    if (!sink || visit->has_left)
        return;
    visit->has_left = true;
    if (visit->is_h2 || sink->is_started)
        be_gone(sink);
    else if (visit->left)
        visit->left(visit->left_owner);
}
