/* What the tests of flights have in common: a table of purges in memory, and one of flights. */
#pragma once

#include "base/must.h"
#include "cache/flight.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>
#include <sys/mman.h>

static const struct instant now = {{1700000000000}, {5000}};

static void *region;
static struct purge_table *purges;
static struct flights *flights;

static int setup(void **context)
{
    (void)context;
    char error[256];
    region =
        mmap(NULL, purge_table_bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(region != MAP_FAILED);
    purge_table_init(region);
    purges = purge_attach(region, SLICE_NONE, false, now.wall, error);
    flights = flights_new();
    return purges ? 0 : -1;
}

static int teardown(void **context)
{
    (void)context;
    flights_free(flights); /* MUSTs that none is left in the table */
    purge_detach(purges);
    munmap(region, purge_table_bytes());
    return 0;
}
