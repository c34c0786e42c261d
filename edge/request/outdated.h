/*
 * Documents of before (semantics 5.4): when all workers of an origin were down and one came back,
 * or its build value changed, what was rendered earlier is refreshed behind people although it is
 * still fresh. An origin's documents are marked at most once a minute: who comes back sooner marks
 * them at its end.
 */
#pragma once

#include "edge/request/exchange.h"

struct outdated;

struct outdated *outdated_new(size_t origin_count);
void outdated_free(struct outdated *outdated);
/* For origins_on_outage(). Any thread, and so for the others. */
void outdated_origin_changed(struct outdated *outdated, const struct origin_config *origin,
                             bool is_down, mono_time when);
/* A fetch failed: was that the last live worker? Of an origin that varve runs itself, which is not
 * down as long as its next process is on its way, nothing else tells. */
void outdated_note_failure(struct server *server, const struct origin_config *origin);
/* A head came from the origin. */
void outdated_note_answer(struct server *server, const struct origin_config *origin,
                          struct instant now);
/* Is this object of before? REASON_NONE, REASON_BUILD_CHANGED or REASON_REVALIDATING. */
enum reason outdated_why(const struct server *server, const struct decision *decision,
                         const struct object *object, struct instant now);

/* The parts of it, with a clock of the caller's. */
void outdated_down(struct outdated *outdated, size_t origin);
void outdated_back(struct outdated *outdated, size_t origin, struct instant now);
/* Was this stored before the origin's last mark? */
bool outdated_is_before(const struct outdated *outdated, size_t origin, wall_time stored,
                        mono_time now);
