#include "leaf/store/rocks_private.h"

#include "common/base/alloc.h"

enum { OBSOLETE_MAX = 65536 }; /* see rocks_floor_raise() */

/*
 * An old snapshot is held all the time. Whenever the oldest one is released, RocksDB 7.8 marks each
 * file below which nothing lies and rewrites it, in case it holds values that the snapshot kept
 * alive: with readers coming and going that is every file once more, obsolete values or not
 * (measured: a third of all writing for keys that rise). What compactions cannot drop because of it
 * is bounded: it is renewed after OBSOLETE_MAX values, and before space is asked back. Any thread.
 */
void rocks_floor_raise(struct kv_rocks *k)
{
    const rocksdb_snapshot_t *next = rocksdb_create_snapshot(k->db);
    const rocksdb_snapshot_t *old;

    atomic_store(&k->obsolete, 0);
    old = atomic_exchange(&k->floor, next);
    if (old != NULL) {
        rocksdb_release_snapshot(k->db, old);
    }
}

void rocks_note_obsolete(struct kv_rocks *k, size_t count)
{
    if (count > 0 && atomic_fetch_add(&k->obsolete, count) + count >= OBSOLETE_MAX) {
        rocks_floor_raise(k);
    }
}

/* Nobody looks inside a kv_snapshot; it is ours by another name. */
static struct rocks_snapshot *ours(struct kv_snapshot *snapshot)
{
    return (struct rocks_snapshot *)(void *)snapshot;
}

static struct rocks_snapshot *make(struct kv_rocks *k)
{
    struct rocks_snapshot *snapshot = sf_alloc(sizeof(*snapshot));

    if (snapshot != NULL) {
        *snapshot = (struct rocks_snapshot){rocksdb_create_snapshot(k->db), .users = 1};
    }
    return snapshot;
}

/* With the lock held. */
static void drop(struct kv_rocks *k, struct rocks_snapshot *snapshot)
{
    if (--snapshot->users == 0) {
        rocksdb_release_snapshot(k->db, snapshot->s);
        sf_free(snapshot);
    }
}

enum sf_code rocks_hide(struct kv_rocks *k, struct sf_error *err)
{
    bool made;

    (void)pthread_mutex_lock(&k->lock);
    k->before = make(k);
    made = k->before != NULL;
    (void)pthread_mutex_unlock(&k->lock);
    return made ? SF_OK : SF_RAISE(err, SF_NOMEM, "snapshot");
}

void rocks_show(struct kv_rocks *k)
{
    (void)pthread_mutex_lock(&k->lock);
    if (k->before != NULL) {
        drop(k, k->before);
        k->before = NULL;
    }
    (void)pthread_mutex_unlock(&k->lock);
}

enum sf_code rocks_snapshot_new(struct kv *kv, struct kv_snapshot **ret, struct sf_error *err)
{
    struct kv_rocks *k = rocks_self(kv);
    struct rocks_snapshot *snapshot;

    (void)pthread_mutex_lock(&k->lock);
    if (k->before != NULL) {
        snapshot = k->before;
        snapshot->users++;
    } else {
        snapshot = make(k); /* With the lock held: what is hidden next is not in it. */
    }
    (void)pthread_mutex_unlock(&k->lock);
    if (snapshot == NULL) {
        return SF_RAISE(err, SF_NOMEM, "snapshot");
    }
    *ret = (struct kv_snapshot *)(void *)snapshot;
    return SF_OK;
}

void rocks_snapshot_free(struct kv *kv, struct kv_snapshot *snapshot)
{
    struct kv_rocks *k = rocks_self(kv);

    (void)pthread_mutex_lock(&k->lock);
    drop(k, ours(snapshot));
    (void)pthread_mutex_unlock(&k->lock);
}
