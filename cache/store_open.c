/* Opening the store, and closing it. */
#include "cache/store_env.h"

#include "base/arena.h"
#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READERS_MAX = 1024, PATH_BYTES = 4096, LIVE_PERCENT = 88, ERROR_BYTES = 256 };

static int make_directories(slice path, char name[PATH_BYTES])
{
    snprintf(name, PATH_BYTES, "%" SLICE_FMT, SLICE_ARG(path));
    if (mkdir(name, 0750) != 0 && errno != EEXIST)
        return errno;
    snprintf(name, PATH_BYTES, "%" SLICE_FMT "/f1", SLICE_ARG(path));
    return mkdir(name, 0700) != 0 && errno != EEXIST ? errno : 0;
}

static int extend_file(struct store *store)
{
    struct stat st;
    int fd, rc = mdb_env_get_fd(store->env, &fd);
    if (rc || fstat(fd, &st) != 0)
        return rc ? rc : errno;
    if ((uint64_t)st.st_size >= store->map_bytes)
        return 0;
    return ftruncate(fd, (off_t)store->map_bytes) == 0 ? 0 : errno;
}

static int open_file(struct store *store)
{
    unsigned flags =
        MDB_NOTLS | MDB_NORDAHEAD | MDB_NOMEMINIT | (store->is_synced ? 0 : MDB_NOSYNC);
    int rc = mdb_env_create(&store->env);
    if (rc)
        return rc;
    (void)(!(rc = mdb_env_set_mapsize(store->env, store->map_bytes)) &&
           !(rc = mdb_env_set_maxdbs(store->env, 8)) &&
           !(rc = mdb_env_set_maxreaders(store->env, READERS_MAX)) &&
           !(rc = mdb_env_open(store->env, store->directory, flags, 0600)) &&
           !(rc = extend_file(store)));
    return rc;
}

static int open_databases(struct store *store)
{
    const struct {
        const char *name;
        MDB_dbi *dbi;
    } dbs[] = {{"index", &store->index}, {"body", &store->body},    {"order", &store->order},
               {"vary", &store->vary},   {"meta", &store->meta_db}, {"pending", &store->pending}};
    MDB_txn *txn = NULL;
    MDB_stat stat;
    int rc = mdb_txn_begin(store->env, NULL, 0, &txn);
    for (size_t i = 0; !rc && i < sizeof(dbs) / sizeof(dbs[0]); i++)
        rc = mdb_dbi_open(txn, dbs[i].name, MDB_CREATE, dbs[i].dbi);
    if (!rc && !(rc = mdb_stat(txn, store->index, &stat))) {
        store->page_bytes = stat.ms_psize;
        return mdb_txn_commit(txn);
    }
    if (rc && txn)
        mdb_txn_abort(txn);
    return rc;
}

int env_open(struct store *store)
{
    int dead, rc = open_file(store);
    if (!rc)
        rc = open_databases(store);
    if (!rc)
        mdb_reader_check(store->env, &dead);
    return rc;
}

void env_set_size(struct store *store, uint64_t map_bytes)
{
    store->map_bytes = map_bytes;
    atomic_store(&store->target_bytes, map_bytes / 11 * 10 / 100 * LIVE_PERCENT);
}

/* Bodies that a crash left without an index row. A live process whose body this is notices. */
static int clear_pending(struct store *store)
{
    for (;;) {
        int rc = store_begin(store);
        if (rc)
            return rc;
        MDB_cursor *cursor;
        MDB_val key, value;
        uint64_t sequence = 0;
        rc = store_code(mdb_cursor_open(store->txn, store->pending, &cursor));
        if (!rc) {
            rc = store_code(mdb_cursor_get(cursor, &key, &value, MDB_FIRST));
            if (!rc)
                sequence = order_key_sequence(key.mv_data);
            mdb_cursor_close(cursor);
        }
        if (rc) {
            store_abort(store);
            return rc == STORE_NOT_FOUND ? 0 : rc;
        }
        store_abort(store);
        if ((rc = store_body_drop(store, sequence)))
            return rc;
    }
}

static int start(struct store *store)
{
    int rc = clear_pending(store);
    if (rc)
        return rc;
    if ((rc = store_begin(store)))
        return rc;
    if ((rc = store_commit(store)))
        return rc;
    atomic_store(&store->newest_stamp, store->meta.newest_stamp);
    return 0;
}

static struct store *store_make(const struct store_config *config, const char *directory)
{
    struct store *store = mem_alloc(sizeof(*store));
    MUST(pthread_rwlock_init(&store->env_lock, NULL) == 0);
    MUST(pthread_mutex_init(&store->readers_lock, NULL) == 0);
    list_init(&store->readers);
    size_t len = strlen(directory) + 1;
    store->directory = memcpy(mem_alloc(len), directory, len);
    store->is_synced = config->sync;
    store->max_bytes = config->max_bytes < STORE_BYTES_MIN ? STORE_BYTES_MIN : config->max_bytes;
    store->map_bytes = (store->max_bytes / 10 * 11) & ~(uint64_t)0xffff;
    store->max_object_bytes = config->max_object_bytes;
    store->max_variants = config->max_variants ? config->max_variants : 1;
    store->purges = config->purges;
    store->in_store = config->in_store;
    store->keeps_left = STORE_KEEPS_MAX;
    atomic_init(&store->target_bytes, store->max_bytes / 100 * LIVE_PERCENT);
    return store;
}

static void store_free(struct store *store)
{
    MUST(!store->env && list_is_empty(&store->readers));
    pthread_mutex_destroy(&store->readers_lock);
    pthread_rwlock_destroy(&store->env_lock);
    free(store->directory);
    free(store);
}

struct store *store_open(const struct store_config *config, char *error)
{
    char directory[PATH_BYTES];
    if (config->path.len + sizeof("/f1/data.mdb") > sizeof(directory)) {
        snprintf(error, ERROR_BYTES, "the store's path is too long");
        return NULL;
    }
    int rc = make_directories(config->path, directory);
    if (rc) {
        snprintf(error, ERROR_BYTES, "cannot make %.150s: %s", directory, strerror(rc));
        return NULL;
    }
    struct store *store = store_make(config, directory);
    store_enter(store);
    rc = env_open(store);
    if (!rc)
        rc = start(store);
    store_leave(store);
    if (!rc)
        return store;
    snprintf(error, ERROR_BYTES, "cannot open the store in %.150s: %s", directory, store_error(rc));
    env_drop(store);
    store_free(store);
    return NULL;
}

int store_close(struct store *store)
{
    if (!store)
        return 0;
    MUST(!store->txn);
    store_enter(store);
    int rc = store->env ? mdb_env_sync(store->env, 1) : STORE_LOST;
    env_drop(store);
    store_leave(store);
    store_free(store);
    return rc;
}
