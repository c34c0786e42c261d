/*
 * The operator's mode (`varve mode`): how far all visitors are kept from the renderers. One word in
 * the memory that all worker processes share, so that it holds over their reloads and crashes; a
 * new master begins with `auto`. What it means for a request is in edge/request/mode_meaning.h.
 *
 *   63             2 1      0
 *   +---------------+--------+
 *   | since, in ms  | mode   |
 *   +---------------+--------+
 */
#pragma once

#include "base/clock.h"
#include "base/slice.h"

#include <stdatomic.h>

enum mode {
    MODE_AUTO,  /* the rules decide */
    MODE_SSR,   /* nobody gets the shell because of load or failure */
    MODE_SHELL, /* whoever can do without a render gets none */
    MODE_COUNT
};

struct mode_word {
    _Atomic uint64_t word;
};

/* Any thread of any process, but for mode_init(): the master, before there are others. */
void mode_init(struct mode_word *mode, mono_time now);
static inline enum mode mode_now(const struct mode_word *mode)
{
    return (enum mode)(atomic_load_explicit(&mode->word, memory_order_relaxed) & 3);
}
mono_time mode_since(const struct mode_word *mode);
/* Returns the mode of before. To set what is set already changes nothing. */
enum mode mode_set(struct mode_word *mode, enum mode to, mono_time now);

slice mode_name(enum mode mode);
/* False: there is none of this name. */
bool mode_of_name(slice name, enum mode *mode);
