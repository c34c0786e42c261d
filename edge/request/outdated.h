/*
 * Documents of before (semantics 5.4): when all workers of an origin were down and one came back,
 * or its build value changed, what was rendered earlier is refreshed behind people although it is
 * still fresh, each object at most once a minute.
 */
#pragma once

#include "edge/request/exchange.h"

struct outdated;

struct outdated *outdated_new(size_t origin_count);
/* A fetch failed: was that the last live worker? Any thread, and so for the others. */
void outdated_note_failure(struct server *server, const struct origin_config *origin);
/* A head came from the origin. */
void outdated_note_answer(struct server *server, const struct origin_config *origin, wall_time now);
/* Is this object of before? REASON_NONE, REASON_BUILD_CHANGED or REASON_REVALIDATING. */
enum reason outdated_why(const struct server *server, const struct decision *decision,
                         const struct object *object, wall_time now);
