#include "cache/learned.h"

#include <pthread.h>
#include <stdlib.h>

enum { ENOUGH_OF_16 = 8 };

struct learned_field {
    char *name;       /* never freed or moved before the table is: views of it are about */
    uint16_t history; /* one bit for each of the last 16 cold URLs, the newest lowest */
};

struct route_learned {
    struct learned_field fields[UNION_MAX_NAMES]; /* no more names than a union may have */
    size_t count;
};

struct learned {
    pthread_mutex_t lock;
    size_t route_count;
    struct route_learned routes[];
};

struct learned *learned_new(size_t route_count)
{
    struct learned *learned =
        mem_alloc(sizeof(*learned) + route_count * sizeof(struct route_learned));
    pthread_mutex_init(&learned->lock, NULL);
    learned->route_count = route_count;
    return learned;
}

void learned_free(struct learned *learned)
{
    if (!learned)
        return;
    for (size_t i = 0; i < learned->route_count; i++)
        for (size_t k = 0; k < learned->routes[i].count; k++)
            free(learned->routes[i].fields[k].name);
    pthread_mutex_destroy(&learned->lock);
    free(learned);
}

static void add_new_names(struct route_learned *route, const struct field_names *names)
{
    for (size_t i = 0; i < names->count && route->count < UNION_MAX_NAMES; i++) {
        bool is_known = false;
        for (size_t k = 0; k < route->count; k++)
            is_known |= slice_equal(slice_of_string(route->fields[k].name), names->at[i]);
        if (!is_known)
            route->fields[route->count++].name = strndup(names->at[i].ptr, names->at[i].len);
    }
}

void learned_note(struct learned *learned, size_t route_index, const struct field_names *names)
{
    pthread_mutex_lock(&learned->lock);
    struct route_learned *route = &learned->routes[route_index];
    add_new_names(route, names);
    for (size_t i = 0; i < route->count; i++) {
        struct learned_field *field = &route->fields[i];
        unsigned now = field_names_contain(names, slice_of_string(field->name));
        field->history = (uint16_t)((unsigned)field->history << 1 | now);
    }
    pthread_mutex_unlock(&learned->lock);
}

void learned_names(struct learned *learned, size_t route_index, struct field_names *names)
{
    names->count = 0;
    pthread_mutex_lock(&learned->lock);
    const struct route_learned *route = &learned->routes[route_index];
    for (size_t i = 0; i < route->count; i++)
        if (__builtin_popcount(route->fields[i].history) >= ENOUGH_OF_16)
            (void)field_names_add(names, slice_of_string(route->fields[i].name));
    pthread_mutex_unlock(&learned->lock);
}
