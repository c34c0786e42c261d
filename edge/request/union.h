/* The union of fields that a cold URL's first render is asked for with. Any thread. */
#pragma once

#include "edge/server.h"

/* A cold URL of a route that keeps learning the same fields sends them from the start
 * (semantics 2.3): the caller's *record becomes one with them. Others stay. */
void union_start_with_learned(const struct server *server, const struct decision *decision,
                              struct vary_record **record);
