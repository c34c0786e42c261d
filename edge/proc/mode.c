/* See mode.h. */
#include "edge/proc/mode.h"

enum { MODE_BITS = 2 };

static uint64_t word_of(enum mode mode, mono_time since)
{
    return (uint64_t)since.ms << MODE_BITS | mode;
}

void mode_init(struct mode_word *mode, mono_time now)
{
    atomic_store(&mode->word, word_of(MODE_AUTO, now));
}

mono_time mode_since(const struct mode_word *mode)
{
    return (mono_time){(int64_t)(atomic_load(&mode->word) >> MODE_BITS)};
}

enum mode mode_set(struct mode_word *mode, enum mode to, mono_time now)
{
    uint64_t old = atomic_load(&mode->word), new = word_of(to, now);
    while ((enum mode)(old & 3) != to && !atomic_compare_exchange_weak(&mode->word, &old, new))
        ;
    return (enum mode)(old & 3);
}

slice mode_name(enum mode mode)
{
    static const slice NAMES[MODE_COUNT] = {
        [MODE_AUTO] = {"auto", 4}, [MODE_SSR] = {"ssr", 3}, [MODE_SHELL] = {"shell", 5}};
    return NAMES[mode];
}

bool mode_of_name(slice name, enum mode *mode)
{
    for (enum mode i = MODE_AUTO; i < MODE_COUNT; i++) {
        if (!slice_equal(name, mode_name(i)))
            continue;
        *mode = i;
        return true;
    }
    return false;
}
