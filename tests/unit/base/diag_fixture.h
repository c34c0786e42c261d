/* An arena and a list of errors for each test: for those who read a user's file. */
#pragma once

#include "base/diag.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct fixture {
    struct arena arena;
    struct diag diag;
};

static int set_up(void **state)
{
    static struct fixture fixture;
    arena_init(&fixture.arena);
    diag_init(&fixture.diag, &fixture.arena);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&((struct fixture *)*state)->arena);
    return 0;
}
