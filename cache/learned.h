/*
 * What routes have learned (semantics 2.3): when 8 of a route's last 16 cold URLs learned a field
 * from their Vary, the route's cold URLs send it from the start. In memory only; any thread.
 */
#pragma once

#include "policy/rules.h"

struct learned;

struct learned *learned_new(size_t route_count);
void learned_free(struct learned *learned);
/* A cold URL of the route was answered: `names` are the fields that it learned, perhaps none. */
void learned_note(struct learned *learned, size_t route, const struct field_names *names);
/* The fields to send from the start. Views that stay valid until learned_free(). */
void learned_names(struct learned *learned, size_t route, struct field_names *names);
