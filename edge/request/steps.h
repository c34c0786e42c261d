/* The steps of a request (steps.c) and what their files share. */
#pragma once

#include "edge/request/exchange.h"

/* Runs steps until one waits. True: the answer is complete or under way without us; nothing more to
 * do but to log it. For exchange.c. */
bool steps_run(struct exchange *ex);
/* The disk has answered. For exchange.c. */
void lookup_read_delivered(struct exchange *ex);

enum progress {
    NEXT, /* go on with the step that was set */
    WAIT, /* something will call exchange_run(); the step is then entered anew */
    DONE,
};

/* stream.c */
enum progress step_stream(struct exchange *ex);

/* await.c */
enum progress step_shell(struct exchange *ex);
enum progress step_decode(struct exchange *ex);

/* lookup.c */
enum progress step_lookup(struct exchange *ex);
/* On with FETCH, as a pass. */
enum progress pass_instead(struct exchange *ex, enum reason reason);
/* What this request asks for, as purge records see it, at the present stamp. */
struct purge_subject purge_subject_of(const struct exchange *ex);
/* The flight that would answer it. */
struct flight_wanted wanted_flight(const struct exchange *ex);
