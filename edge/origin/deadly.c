/* See deadly.h. Deaths are rare: one lock for all, which nobody takes while everybody lives. */
#include "edge/origin/deadly.h"

#include "base/must.h"

#include <string.h>

void deadly_init(struct deadly *deadly)
{
    *deadly = (struct deadly){.quiet_after_ms = 0};
    MUST(pthread_mutex_init(&deadly->lock, NULL) == 0);
}

void deadly_fini(struct deadly *deadly)
{
    pthread_mutex_destroy(&deadly->lock);
}

static struct deadly_key *set_of(struct deadly *deadly, const struct key *key)
{
    uint64_t head;
    memcpy(&head, key->bytes, sizeof(head));
    return deadly->sets[head % DEADLY_SETS];
}

/* The time after which a row says nothing any more. */
static int64_t row_ends(const struct deadly_key *row)
{
    if (row->last_death.ms == 0)
        return 0;
    int64_t window = saturating_add(row->last_death.ms, DEADLY_WITHIN_MS);
    int64_t memory = row->length.ms ? saturating_add(row->until.ms, DEADLY_MEMORY_MS) : 0;
    return window > memory ? window : memory;
}

static struct deadly_key *find(struct deadly *deadly, const struct key *key)
{
    struct deadly_key *set = set_of(deadly, key);
    for (size_t i = 0; i < DEADLY_WAYS; i++)
        if (set[i].last_death.ms && key_equal(&set[i].key, key))
            return &set[i];
    return NULL;
}

static struct deadly_key *find_or_take(struct deadly *deadly, const struct key *key)
{
    struct deadly_key *row = find(deadly, key), *set = set_of(deadly, key);
    if (row)
        return row;
    row = &set[0];
    for (size_t i = 1; i < DEADLY_WAYS; i++)
        if (row_ends(&set[i]) < row_ends(row))
            row = &set[i];
    *row = (struct deadly_key){.key = *key};
    return row;
}

static bool is_quiet(const struct deadly *deadly, mono_time now)
{
    return atomic_load_explicit(&deadly->quiet_after_ms, memory_order_relaxed) < now.ms;
}

static bool is_deadly(const struct deadly_key *row, mono_time now)
{
    return row->until.ms > now.ms || row->trial_until.ms > now.ms;
}

static bool remembers(const struct deadly_key *row, mono_time now)
{
    return row->length.ms > 0 && saturating_add(row->until.ms, DEADLY_MEMORY_MS) > now.ms;
}

bool deadly_is(struct deadly *deadly, const struct key *key, mono_time now)
{
    if (is_quiet(deadly, now))
        return false;
    pthread_mutex_lock(&deadly->lock);
    const struct deadly_key *row = find(deadly, key);
    bool is = row && is_deadly(row, now);
    pthread_mutex_unlock(&deadly->lock);
    return is;
}

static enum deadly_answer admit(struct deadly_key *row, mono_time now)
{
    if (is_deadly(row, now))
        return DEADLY_NOW;
    if (!remembers(row, now))
        return DEADLY_NOT;
    row->trial_until = mono_after(now, (duration){DEADLY_TRIAL_MS});
    return DEADLY_TRIAL;
}

enum deadly_answer deadly_admit(struct deadly *deadly, const struct key *key, mono_time now)
{
    if (is_quiet(deadly, now))
        return DEADLY_NOT;
    pthread_mutex_lock(&deadly->lock);
    struct deadly_key *row = find(deadly, key);
    enum deadly_answer answer = row ? admit(row, now) : DEADLY_NOT;
    pthread_mutex_unlock(&deadly->lock);
    return answer;
}

/* How long it is to be left alone after this death; 0: it was the first for a long time. */
static duration next_length(const struct deadly_key *row, const void *worker, mono_time now)
{
    bool is_second = row->last_death.ms &&
                     mono_since(now, row->last_death).ms <= DEADLY_WITHIN_MS &&
                     !(row->has_survived && row->worker == worker);
    if (remembers(row, now))
        return duration_min((duration){row->length.ms * 2}, (duration){DEADLY_LONGEST_MS});
    return (duration){is_second ? DEADLY_FIRST_MS : 0};
}

/* It was on that worker when that died. */
static bool is_known(const struct deadly_key *row, struct death death)
{
    return row->last_death.ms && row->worker == death.worker && death.connection < row->connections;
}

static bool note_death(struct deadly *deadly, const struct key *key, struct death death,
                       mono_time now, duration *length)
{
    struct deadly_key *row = find_or_take(deadly, key);
    if (row->until.ms > now.ms || is_known(row, death))
        return false; /* it was under way when others died of it */
    duration next = next_length(row, death.worker, now);
    row->last_death = now;
    row->worker = death.worker;
    row->connections = death.connections;
    row->has_survived = false;
    row->trial_until = (mono_time){0};
    row->length = next;
    if (next.ms > 0)
        row->until = mono_after(now, next);
    if (row_ends(row) > atomic_load(&deadly->quiet_after_ms))
        atomic_store(&deadly->quiet_after_ms, row_ends(row));
    *length = next;
    return next.ms > 0;
}

bool deadly_note_death(struct deadly *deadly, const struct key *key, struct death death,
                       mono_time now, duration *length)
{
    pthread_mutex_lock(&deadly->lock);
    bool became = note_death(deadly, key, death, now, length);
    pthread_mutex_unlock(&deadly->lock);
    return became;
}

void deadly_note_survival(struct deadly *deadly, const struct key *key, mono_time now)
{
    if (is_quiet(deadly, now))
        return;
    pthread_mutex_lock(&deadly->lock);
    struct deadly_key *row = find(deadly, key);
    if (row && row->length.ms > 0 && row->until.ms <= now.ms)
        *row = (struct deadly_key){.last_death = {0}};
    else if (row)
        row->has_survived = true;
    pthread_mutex_unlock(&deadly->lock);
}
