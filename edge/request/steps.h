/* The steps of a request (steps.c) and what their files share. */
#pragma once

#include "edge/request/exchange.h"

/* Runs steps until one waits, or all is done but the log line. For exchange.c. */
void steps_run(struct exchange *ex);
/* Nothing that is stored or under way is for this client: on with FETCH, as a pass. */
enum step ask_for_itself(struct exchange *ex);
/* The same, but what was found is kept for when the pass fails. */
enum step pass_for_itself(struct exchange *ex);
/* The flight's head is there: would FETCH wait for more of its body before it gives any of it? */
bool fetch_awaits_body(const struct exchange *ex, const struct flight_view *view);
/* The disk has answered. For exchange.c. */
void lookup_read_delivered(struct exchange *ex);

/* Each returns the step to go on with. STEP_DONE: the answer is complete, or under way without us.
 */

/* decide.c */
enum step step_decide(struct exchange *ex);

/* stream.c */
enum step step_stream(struct exchange *ex);

/* await.c */
enum step step_shell(struct exchange *ex);
enum step step_decode(struct exchange *ex);

/* lookup.c */
enum step step_lookup(struct exchange *ex);
/* On with FETCH, as a pass. */
enum step pass_instead(struct exchange *ex, enum reason reason);
/* What this request asks for, as purge records see it, at the present stamp. */
struct purge_subject purge_subject_of(const struct exchange *ex);
/* The flight that would answer it. */
struct flight_wanted wanted_flight(const struct exchange *ex);
