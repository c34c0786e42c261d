/* Moving the data of a store that cannot be trusted out of the way (semantics 9.3). */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

/* Is there a state file or data of any format: something to judge? */
bool store_has_data(slice store);

/*
 * Moves the state file and the data to STORE.bad-TIME, or to STORE/bad-TIME where that cannot be
 * made (STORE is a mount point, or its parent not ours to write), and removes what was set aside
 * before: one is kept. A line that says where and `why` comes in `text` (STATE_ERROR_BYTES). False,
 * with a line: it cannot be moved; calling again goes on where this stopped.
 */
bool set_aside(slice store, const char *why, wall_time now, char *text);
