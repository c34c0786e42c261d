/* What the parts of a flight share: flight.c, flight_table.c, flight_body.c. */
#pragma once

#include "cache/flight.h"

/* One reference; `table` is NULL for a private one. The strings of `subject` are copied. `is_kept`:
 * it may be stored. */
struct flight *flight_make(struct flights *table, const struct purge_subject *subject,
                           bool is_kept);

/* --- hold the flight's lock --- */

void flight_wake_all(struct flight *flight);
/* Frees what all have read, but never the chunk that is being filled; nothing of one that is kept.
 */
void flight_trim(struct flight *flight);
/*
 * on_room(), once per pause: at half a window, so that a reader who takes a few bytes at a time
 * does not wake the fetch for each of them, and what it then reads still fits the window.
 */
void flight_tell_of_room(struct flight *flight);

/* The flight has gone: so do all its bytes. */
void flight_free_chunks(struct flight *flight);
