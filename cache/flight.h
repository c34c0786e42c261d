/*
 * Flights (semantics 3): a fetch under way, what has come of it so far, and everybody who waits for
 * it. The fetch side (one thread) produces, the waiters (any thread) read; the flight is all that
 * joins them. Passes are flights too: private ones, in no table, with one waiter.
 *
 *      WAITING ──head──> STREAMING ──end──> DONE
 *         └───────fail──────┴──────────────> FAILED
 *
 * Memory: what a shared flight has received is kept until the flight is freed (it becomes the
 * object); of a private flight, or of one that grew too large to store, what its slowest waiter has
 * read is freed at once.
 */
#pragma once

#include "base/list.h"
#include "cache/object.h"
#include "cache/purge.h"

#include <pthread.h>

enum flight_phase { FLIGHT_WAITING, FLIGHT_STREAMING, FLIGHT_DONE, FLIGHT_FAILED };

/* What the waiters (but the leader) do once the head is known. */
enum flight_sharing {
    FLIGHT_UNDECIDED,
    FLIGHT_SHARED,        /* storable: whoever has the same key streams along */
    FLIGHT_LOOK_AGAIN,    /* not for others: they look up again; the leader gets it */
    FLIGHT_REFRESHED,     /* a 304: everybody gets head.object */
    FLIGHT_REFRESHED_ONE, /* the same, but others ask for themselves: no-cache (semantics 3.1) */
    FLIGHT_KEPT_OLD,      /* a 404 or 410 in place of an object that is kept (semantics 5.5) */
    FLIGHT_PASS_INSTEAD,  /* a sealed fill that may not be stored: the leader passes (semantics 2.9)
                           */
    FLIGHT_UPSTREAM_ERROR, /* 500, 502, 503, 504: fallback for all; the leader may show it */
};

struct flight_head {
    slice key_text; /* of what is being stored; a waiter whose own is another one looks up again */
    unsigned status;
    slice reason_phrase;
    const struct fields
        *fields;   /* as delivered and stored: hop-by-hop removed; live as long as the flight */
    size_t length; /* announced body length or SIZE_MAX */
    enum coding coding;
    enum reason not_stored;    /* REASON_NONE: it is being stored */
    bool replaces_stored;      /* what was stored is not the answer any more, nor is this stored */
    const struct facts *facts; /* NULL for a pass */
    struct object *object;     /* FLIGHT_REFRESHED: a reference of the flight's */
    slice worker;              /* "renderer/0" */
    duration queued, rendered; /* waiting for a slot; request sent to head received */
};

/*
 * An interim response of the renderer (RFC 9110 §15.2): 102, 103 and whatever else is below 200,
 * but 100 and 101. It says something to the client whose request is being rendered and is no part
 * of the answer: never stored, and shown to the leader alone. A joined waiter learns only at the
 * head whether this is its answer at all (semantics 3.1), and until then gets no byte of it.
 */
struct interim {
    unsigned status;
    slice reason_phrase;
    struct fields fields;
    struct interim *next; /* under the flight's lock */
};
enum { FLIGHT_MAX_INTERIMS = 16, FLIGHT_MAX_INTERIM_BYTES = 16 * 1024 };

enum { FLIGHT_RANKS = 65 };

struct chunk;
struct flights;

struct waiter {
    struct list node;                    /* flight->waiters */
    struct flight *flight;               /* a reference; NULL: waits for nothing */
    void (*wake)(struct waiter *waiter); /* any thread, under the flight's lock: only post */
    bool is_leader;
    unsigned rank; /* of who waits: 0 is the best (semantics 7.4); constant while it waits */
    uint64_t arrival_stamp; /* purge stamp when the request came (semantics 3.3) */
    struct chunk *chunk;    /* where it reads: under the flight's lock */
    size_t chunk_offset;
    uint64_t position;             /* bytes read in total */
    const struct interim *interim; /* the last one taken */
};

struct flight {
    atomic_uint refs;
    pthread_mutex_t lock;
    struct flights *table; /* NULL: private */
    struct list table_node;
    struct list storable_node; /* one that may be stored; under a lock of flight.c's */
    struct key key, url_key;
    slice key_text; /* hold the table's lock; strangers may make keys collide */
    /* constant */
    struct arena arena; /* the fetch's thread until the head is published, then frozen */
    slice host, path, query;
    bool has_query;
    uint64_t stamp; /* purge stamp read before the request is sent; but flight_restamp() */
    uint64_t max_stored_bytes;
    /* shared: hold lock */
    enum flight_phase phase;
    enum flight_sharing sharing;
    struct interim *first_interim, *last_interim;
    size_t interim_count, interim_bytes;
    struct flight_head head;
    const uint64_t *tag_hashes;
    size_t tag_count;
    unsigned failure; /* enum call_failure of the fetch, when FAILED */
    bool is_kept;     /* all chunks are kept: it may be stored */
    struct chunk *first_chunk, *last_chunk;
    uint64_t received_bytes, freed_bytes;
    struct list waiters;
    unsigned waiter_count;
    unsigned rank_count[FLIGHT_RANKS], best_rank; /* of the waiters; FLIGHT_RANKS: nobody */
    /* the fetch side, told under the lock, any thread: only post */
    void (*on_room)(struct flight *flight);     /* at most half a window is unread: read on */
    void (*on_deserted)(struct flight *flight); /* the last waiter has left */
    void (*on_rank)(struct flight *flight);     /* best_rank is another one, and no head yet */
    void *fetch;
    bool is_waiting_for_room;
    size_t window; /* of the append that was told to wait */
};

/* The table of shared flights; one for each worker process. */
struct flights *flights_new(void);
/* Nobody else may use it any more, and no flight be in it. */
void flights_free(struct flights *flights);
/* How many are in it now. Any thread. */
size_t flights_count(struct flights *flights);

/* A flight of its own, in no table; one reference. Strings are copied. `is_kept`: it may be stored.
 */
struct flight *flight_new_private(const struct purge_subject *subject, bool is_kept);
/* How many flights of the URL (and a few others) have left the table. To be read before memory is
 * asked: what a flight makes is in memory before it leaves. Any thread. */
uint64_t flights_left(struct flights *flights, const struct key *url_key);

struct flight_wanted {
    struct key key; /* of what it makes; of a cold URL: the URL's */
    slice key_text; /* what the key was made of */
    struct key url_key;
    uint64_t left_before; /* flights_left(), from before memory was asked */
    bool has_looked_back; /* memory was asked again because of it: that is enough */
};
/*
 * Joins the flight under the key, or starts one: *is_leader tells which. A flight that a newer
 * purge record matches is not joined but replaced in the table (semantics 3.3). The waiter gets a
 * reference and is linked either way. NULL: one of this URL has left since memory was asked, which
 * may know the answer now.
 */
struct flight *flight_join(struct flights *flights, const struct flight_wanted *wanted,
                           const struct purge_table *purges, const struct purge_subject *subject,
                           struct waiter *waiter, bool *is_leader);
/* A flight without a waiter: a refresh behind people. One reference; NULL if one is under way
 * already, or has just been. */
struct flight *flight_start_refresh(struct flights *flights, const struct flight_wanted *wanted,
                                    const struct purge_table *purges,
                                    const struct purge_subject *subject);
/* Of all flights of this process, in a table or not, whose answers may be stored: the oldest stamp;
 * UINT64_MAX: none. For purge_forget(). Any thread. */
uint64_t flights_oldest_stamp(void);
/* Any thread. */
struct flight *flight_ref(struct flight *flight);
void flight_unref(struct flight **flight);

/* Bytes of bodies that all flights of this process hold now (limits.response_buffers). Any thread.
 */
uint64_t flights_buffered_bytes(void);

/* --- waiters: the thread of whoever waits --- */

void waiter_attach(struct waiter *waiter, struct flight *flight); /* takes a reference of its own */
/* Leaves, and drops the reference; harmless when it waits for nothing. After this no wake() comes.
 */
void waiter_leave(struct waiter *waiter);

struct flight_view { /* what a waiter sees: a consistent copy */
    enum flight_phase phase;
    enum flight_sharing sharing;
    unsigned failure;
    bool is_kept;       /* it may still be stored: the whole body will be there at the end */
    bool is_tag_purged; /* a newer purge record matches the head's tags */
    struct flight_head head;
    uint64_t available_bytes; /* behind the waiter's position */
};
/* As of now; `purges` is asked about the head's tags. */
void waiter_look(struct waiter *waiter, const struct purge_table *purges, struct flight_view *view);

/* The next interim response, for the leader; NULL: none (yet), or not the leader. It lives as long
 * as the flight. */
const struct interim *waiter_next_interim(struct waiter *waiter);

enum { READ_SLICES = 16 };
/*
 * Up to READ_SLICES views of what comes next; they stay valid until waiter_advance(). Returns their
 * number; *is_end when nothing comes behind them.
 */
size_t waiter_peek(struct waiter *waiter, slice views[READ_SLICES], bool *is_end);
/* So many of the bytes that are there have been taken; more is a bug. */
void waiter_advance(struct waiter *waiter, size_t bytes);
/* Does the fetch stand still, and a renderer's slot with it, because this one has not read on
 * (semantics 7.8)? */
bool waiter_is_awaited(struct waiter *waiter);

/* --- the fetch side: one thread --- */

/* The best rank of those who wait now; FLIGHT_RANKS: nobody does. */
unsigned flight_rank(struct flight *flight);

/* The key under which others find it, once the union is known. Before the head; the text is copied.
 * Nothing for a private flight, and where another is found under that key already. */
void flight_rekey(struct flight *flight, const struct key *key, slice key_text);
/*
 * The purge records up to `stamp` are this flight's own doing: its answer is what they made room
 * for. For a private one before its head, whose stamp nobody else reads.
 */
void flight_restamp(struct flight *flight, uint64_t stamp);
/* Out of the table: nobody joins any more. */
void flight_hide(struct flight *flight);
/* Nobody waits (any more): hides it, so that nobody will, and true. The fetch's thread, on
 * on_deserted(). */
bool flight_hide_if_deserted(struct flight *flight);
/* Copies an interim response and wakes the leader. Before the head. False: it is dropped, being one
 * more than FLIGHT_MAX_INTERIMS or over FLIGHT_MAX_INTERIM_BYTES together with those before it. */
bool flight_add_interim(struct flight *flight, unsigned status, slice reason_phrase,
                        const struct fields *fields);
/* Unless `is_kept` (it is being stored), what all have read is freed from now on. Takes
 * head->object. */
void flight_publish_head(struct flight *flight, const struct flight_head *head,
                         enum flight_sharing sharing, bool is_kept, const uint64_t *tag_hashes,
                         size_t tag_count);
/*
 * Appends. False: more than `window` bytes lie unread before the slowest reader of a flight that is
 * not kept: pause, and on_room() will tell.
 */
bool flight_append(struct flight *flight, slice bytes, size_t window);
/* No longer to be stored: frees what everybody has read. */
void flight_forgo_storing(struct flight *flight);
/* The answer has ended. Hides it, as flight_fail() does. */
void flight_end(struct flight *flight);
/* Before the head or in the body. `failure`: enum call_failure. */
void flight_fail(struct flight *flight, unsigned failure);
/* All of a kept flight's bytes in one blob (a new reference); NULL if it is empty. */
struct blob *flight_body(struct flight *flight);
