/*
 * Where an answer goes: the client's side of an exchange, and the only place that calls h2o_send().
 * The exchange writes a head, then bytes as they come; the sink asks for more when the client has
 * taken them.
 *
 * All on the loop's thread. After `gone` nothing of the h2o request may be touched.
 */
#pragma once

#include "base/clock.h"
#include "base/fields.h"

#include <h2o.h>

struct sink;

struct sink_events {
    void (*want)(void *owner); /* what was sent is taken: send on */
    void (*gone)(
        void *owner); /* the request is over, sent or broken off: the last event; frees the owner */
};

struct sink_head {
    unsigned status;
    slice reason;
    const struct fields *fields; /* without Date, Content-Length, Connection */
    size_t length;               /* SIZE_MAX: not known */
    wall_time date;              /* the Date to send; 0: now */
};

/* Binds the owner to the request; the sink lives as long as the h2o request. */
struct sink *sink_new(h2o_req_t *req, const struct sink_events *events, void *owner);
/* An interim response, 102 to 199, before the response starts; everything is copied. */
void sink_interim(struct sink *sink, unsigned status, slice reason, const struct fields *fields);
/* The response starts; nothing is written before the first sink_send(). */
void sink_start(struct sink *sink, const struct sink_head *head);
bool sink_is_started(const struct sink *sink);
/*
 * May be called once after sink_start() and after each `want`. The bytes stay valid until `want` or
 * `gone`; `gone` may come inside.
 */
void sink_send(struct sink *sink, const slice *bytes, size_t count, bool is_last);
/* A renderer's slot waits until the client has read on, or no longer does: meanwhile the client has
 * to be quicker than others (semantics 7.8). */
void sink_await(struct sink *sink, bool is_awaited);
/* Breaks a started answer off, visibly: RST_STREAM or a reset connection. `gone` may come inside.
 */
void sink_break(struct sink *sink);
/* Ends a request that nobody waits for any more, before its answer has started; `gone` may come
 * inside. */
void sink_dismiss(struct sink *sink);
/* Response bytes handed to the library so far, body only. */
uint64_t sink_bytes(const struct sink *sink);
