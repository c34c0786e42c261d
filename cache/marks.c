/* See marks.h. A set-associative table: a mark has a few places where it can be, each under one
 * lock. */
#include "cache/marks.h"

#include "base/arena.h"

#include <pthread.h>
#include <stdlib.h>

enum { SETS = 8192, WAYS = 4, LOCKS = 64 };

struct mark {
    struct key key;
    mono_time until; /* 0: free */
    enum reason why;
};

struct marks {
    pthread_mutex_t locks[LOCKS];
    struct mark sets[SETS][WAYS];
};

struct marks *marks_new(void)
{
    struct marks *marks = mem_alloc(sizeof(*marks));
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&marks->locks[i], NULL);
    return marks;
}

void marks_free(struct marks *marks)
{
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&marks->locks[i]);
    free(marks);
}

static size_t set_of(const struct key *key)
{
    uint64_t head;
    memcpy(&head, key->bytes, sizeof(head));
    return head % SETS;
}

/* The key's mark, or else the one that ends first (a free one ends at 0). */
static struct mark *mark_for(struct mark set[WAYS], const struct key *key)
{
    struct mark *first_to_end = &set[0];
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].until.ms != 0 && key_equal(&set[i].key, key))
            return &set[i];
        if (set[i].until.ms < first_to_end->until.ms)
            first_to_end = &set[i];
    }
    return first_to_end;
}

void marks_set(struct marks *marks, const struct key *key, mono_time until, enum reason why)
{
    size_t set = set_of(key);
    pthread_mutex_lock(&marks->locks[set % LOCKS]);
    *mark_for(marks->sets[set], key) = (struct mark){*key, until, why};
    pthread_mutex_unlock(&marks->locks[set % LOCKS]);
}

/* Its mark as it is now; one that is over ends at 0. */
static struct mark find(struct marks *marks, const struct key *key, mono_time now)
{
    size_t set = set_of(key);
    pthread_mutex_lock(&marks->locks[set % LOCKS]);
    struct mark mark = *mark_for(marks->sets[set], key);
    pthread_mutex_unlock(&marks->locks[set % LOCKS]);
    bool holds = mark.until.ms > now.ms && key_equal(&mark.key, key);
    return holds ? mark : (struct mark){0};
}

bool marks_has(struct marks *marks, const struct key *key, mono_time now)
{
    return find(marks, key, now).until.ms != 0;
}

mono_time marks_end(struct marks *marks, const struct key *key, mono_time now)
{
    struct mark mark = find(marks, key, now);
    return mark.until.ms != 0 ? mark.until : now;
}

bool marks_find(struct marks *marks, const struct key *key, mono_time now, enum reason *why)
{
    struct mark mark = find(marks, key, now);
    if (mark.until.ms != 0)
        *why = mark.why;
    return mark.until.ms != 0;
}

void marks_remove(struct marks *marks, const struct key *key)
{
    size_t set = set_of(key);
    pthread_mutex_lock(&marks->locks[set % LOCKS]);
    struct mark *mark = mark_for(marks->sets[set], key);
    if (key_equal(&mark->key, key))
        *mark = (struct mark){0};
    pthread_mutex_unlock(&marks->locks[set % LOCKS]);
}
