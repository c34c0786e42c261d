/*
 * How transactions begin and end, and what is done when LMDB says that its environment cannot go on
 * as it is:
 *
 *   MDB_MAP_RESIZED  another process has written behind the end of our map, after a reload to a
 *                    larger store. The map is made as large as the other's.
 *   MDB_PANIC        a meta page could not be written, and LMDB refuses everything until the
 *                    environment has been closed: it is opened again.
 *
 * Both move the map, so both wait until no transaction of this process is open: each holds
 * `env_lock` for reading. A transaction that was reset holds nothing. Should it fail there is no
 * environment, and every call answers STORE_LOST until the writer's next try.
 */
#include "cache/store_env.h"

#include "base/log.h"

#include <lmdb.h>

void env_drop(struct store *store)
{
    pthread_mutex_lock(&store->readers_lock);
    list_each(node, &store->readers)
    {
        struct store_reader *reader = container_of(node, struct store_reader, node);
        if (reader->txn)
            mdb_txn_abort(reader->txn);
        reader->txn = NULL;
    }
    pthread_mutex_unlock(&store->readers_lock);
    if (store->env)
        mdb_env_close(store->env);
    store->env = NULL;
}

static int adopt_size(struct store *store)
{
    MDB_envinfo info;
    int rc = mdb_env_set_mapsize(store->env, 0);
    if (!rc)
        rc = mdb_env_info(store->env, &info);
    if (rc)
        env_drop(store); /* nothing is mapped any more */
    else
        env_set_size(store, info.me_mapsize);
    return rc;
}

static int reopen(struct store *store)
{
    env_drop(store);
    int rc = env_open(store);
    if (rc)
        env_drop(store);
    else
        log_info("the store was opened again after a failed write");
    return rc;
}

/* `generation`: of the environment that answered `why`. Another thread may have been faster. */
static int mend(struct store *store, int why, unsigned generation)
{
    int rc = 0;
    pthread_rwlock_wrlock(&store->env_lock);
    if (store->generation == generation) {
        rc = why == MDB_MAP_RESIZED ? adopt_size(store) : reopen(store);
        store->generation++;
    }
    pthread_rwlock_unlock(&store->env_lock);
    return rc;
}

static int start(struct store *store, unsigned flags, MDB_txn **txn)
{
    if (!store->env)
        return STORE_LOST;
    return *txn ? mdb_txn_renew(*txn) : mdb_txn_begin(store->env, NULL, flags, txn);
}

/* What was lost is the writer's to find: a dead disk must not be opened anew for each look-up. */
static bool is_mendable(int rc, unsigned flags)
{
    return rc == MDB_MAP_RESIZED || rc == MDB_PANIC || (rc == STORE_LOST && !(flags & MDB_RDONLY));
}

int txn_begin(struct store *store, unsigned flags, MDB_txn **txn)
{
    store_enter(store);
    pthread_rwlock_rdlock(&store->env_lock);
    int rc = start(store, flags, txn);
    if (is_mendable(rc, flags)) {
        unsigned generation = store->generation;
        pthread_rwlock_unlock(&store->env_lock);
        rc = mend(store, rc, generation);
        pthread_rwlock_rdlock(&store->env_lock);
        if (!rc)
            rc = start(store, flags, txn);
    }
    if (rc)
        txn_left(store);
    return store_code(rc);
}

void txn_left(struct store *store)
{
    pthread_rwlock_unlock(&store->env_lock);
    store_leave(store);
}
