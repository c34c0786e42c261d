#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct instant clock_now(void)
{
    return (struct instant){{read_clock(CLOCK_REALTIME)}, {read_clock(CLOCK_BOOTTIME)}};
}

static uint64_t read_boot_id(void)
{
    char text[64] = {0};
    FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
    if (!file)
        return 0;
    size_t length = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    uint64_t hash = 14695981039346656037u; /* FNV-1a: this only has to differ between boots */
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (uint8_t)text[i]) * 1099511628211u;
    return hash;
}

uint64_t clock_boot_id(void)
{
    static _Thread_local uint64_t id;
    if (id == 0)
        id = read_boot_id();
    return id;
}
