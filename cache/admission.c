#include "cache/admission.h"

#include "base/arena.h"
#include "cache/marks.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum {
    /* A place is given up only when its host was silent so long: random Host fields push out each
       other, not a site. */
    HOST_SILENT_MS = 60000,
    QUERY_WINDOW_MS = 600000,
    PATHS = 4096, /* one counter each; paths that meet in one share it, which refuses too much,
                     never too little */
};

struct host_place {
    _Atomic uint64_t hash; /* 0: free */
    _Atomic int64_t last_ms;
    char name[ADMITTED_HOST_BYTES]; /* hold lock */
};

struct path_count {
    mono_time until;
    unsigned queries;
};

struct admission {
    pthread_mutex_t lock;
    struct host_place hosts[ADMITTED_HOSTS];
    struct path_count paths[PATHS]; /* hold lock */
    struct marks *seen;             /* queries that came in the last 10 minutes */
};

struct admission *admission_new(void)
{
    struct admission *admission = mem_alloc(sizeof(*admission));
    pthread_mutex_init(&admission->lock, NULL);
    admission->seen = marks_new();
    return admission;
}

void admission_free(struct admission *admission)
{
    if (!admission)
        return;
    marks_free(admission->seen);
    pthread_mutex_destroy(&admission->lock);
    free(admission);
}

/* --- hosts --- */

static uint64_t host_hash(slice host)
{
    return hash_of(host) | 1; /* 0 means free */
}

static struct host_place *place_of(struct admission *admission, uint64_t hash)
{
    for (size_t i = 0; i < ADMITTED_HOSTS; i++)
        if (atomic_load_explicit(&admission->hosts[i].hash, memory_order_acquire) == hash)
            return &admission->hosts[i];
    return NULL;
}

static bool is_in(struct admission *admission, uint64_t hash, mono_time now)
{
    struct host_place *place = place_of(admission, hash);
    if (place && atomic_load_explicit(&place->last_ms, memory_order_relaxed) != now.ms)
        atomic_store_explicit(&place->last_ms, now.ms, memory_order_relaxed);
    return place;
}

/* The place longest without a request; a free one at once. */
static struct host_place *oldest_place(struct admission *admission)
{
    struct host_place *oldest = &admission->hosts[0];
    for (size_t i = 0; i < ADMITTED_HOSTS; i++) {
        struct host_place *place = &admission->hosts[i];
        if (atomic_load(&place->hash) == 0)
            return place;
        if (atomic_load(&place->last_ms) < atomic_load(&oldest->last_ms))
            oldest = place;
    }
    return oldest;
}

static bool is_taken(const struct host_place *place)
{
    return atomic_load(&place->hash) != 0;
}

static bool is_kept(const struct host_place *place, mono_time now)
{
    return is_taken(place) && now.ms - atomic_load(&place->last_ms) < HOST_SILENT_MS;
}

static enum host_admission admit(struct admission *admission, slice host, uint64_t hash,
                                 mono_time now, char gone[ADMITTED_HOST_BYTES])
{
    struct host_place *place = oldest_place(admission);
    bool was_taken = is_taken(place);
    if (is_kept(place, now))
        return HOST_REFUSED;
    if (was_taken)
        memcpy(gone, place->name, ADMITTED_HOST_BYTES);
    memcpy(place->name, host.ptr, host.len);
    place->name[host.len] = '\0';
    atomic_store(&place->last_ms, now.ms);
    atomic_store_explicit(&place->hash, hash, memory_order_release);
    return was_taken ? HOST_REPLACES : HOST_ADMITTED;
}

enum host_admission admission_host(struct admission *admission, slice host, mono_time now,
                                   char gone[ADMITTED_HOST_BYTES])
{
    uint64_t hash = host_hash(host);
    if (host.len >= ADMITTED_HOST_BYTES)
        return HOST_REFUSED;
    if (is_in(admission, hash, now))
        return HOST_ADMITTED;
    pthread_mutex_lock(&admission->lock);
    enum host_admission result =
        is_in(admission, hash, now) ? HOST_ADMITTED : admit(admission, host, hash, now, gone);
    pthread_mutex_unlock(&admission->lock);
    return result;
}

bool admission_has_place(struct admission *admission, slice host, mono_time now)
{
    return host.len < ADMITTED_HOST_BYTES &&
           (place_of(admission, host_hash(host)) || !is_kept(oldest_place(admission), now));
}

/* --- queries --- */

/* hold lock */
static struct path_count *count_of(struct admission *admission, const struct key *path)
{
    uint64_t head;
    memcpy(&head, path->bytes, sizeof(head));
    return &admission->paths[head % PATHS];
}

/* hold lock */
static bool take_place(struct admission *admission, const struct key *path, unsigned max_queries,
                       mono_time now)
{
    struct path_count *count = count_of(admission, path);
    if (count->until.ms <= now.ms)
        *count = (struct path_count){mono_after(now, (duration){QUERY_WINDOW_MS}), 0};
    bool is_under = count->queries < max_queries;
    count->queries += is_under;
    return is_under;
}

bool admission_query(struct admission *admission, const struct key *path, const struct key *url,
                     unsigned max_queries, mono_time now)
{
    pthread_mutex_lock(&admission->lock); /* over both: a crowd at one URL is one query */
    bool is_admitted = marks_has(admission->seen, url, now);
    if (!is_admitted) {
        marks_set(admission->seen, url, mono_after(now, (duration){QUERY_WINDOW_MS}),
                  REASON_POLICY);
        is_admitted = take_place(admission, path, max_queries, now);
    }
    pthread_mutex_unlock(&admission->lock);
    return is_admitted;
}

bool admission_would_query(struct admission *admission, const struct key *path,
                           const struct key *url, unsigned max_queries, mono_time now)
{
    pthread_mutex_lock(&admission->lock);
    const struct path_count *count = count_of(admission, path);
    bool is_admitted = marks_has(admission->seen, url, now) || count->until.ms <= now.ms ||
                       count->queries < max_queries;
    pthread_mutex_unlock(&admission->lock);
    return is_admitted;
}
