/* The fuzzer's bytes as a row of choices. When they are used up, every choice is the first. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct script {
    const uint8_t *at;
    size_t left;
};

/* 0 to below - 1; at most 256. */
static inline unsigned script_choose(struct script *script, unsigned below)
{
    if (script->left == 0)
        return 0;
    script->left--;
    return *script->at++ % below;
}

static inline unsigned script_byte(struct script *script)
{
    return script_choose(script, 256);
}
