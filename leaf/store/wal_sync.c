#include "leaf/store/wal_sync.h"

#include <pthread.h>
#include <stdbool.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"

/*
 *   IDLE --- begin ---> BEGUN --- thread ---> DONE --- end ---> IDLE
 *                         |
 *                         +--- leave ---> LEFT --- thread, when it has told ---> IDLE
 */
enum sync_state { SYNC_IDLE, SYNC_BEGUN, SYNC_DONE, SYNC_LEFT };

struct wal_sync {
    rocksdb_t *db;
    wal_sync_left_cb on_left;
    void *data;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked; /* the thread waits */
    pthread_cond_t moved; /* the caller does */
    enum sync_state state;
    bool due; /* the thread has not taken it up yet */
    bool ending;
    char *text;
};

/* With the lock held, as the caller. */
static void settle(struct wal_sync *w, char *text)
{
    if (w->state == SYNC_LEFT) {
        (void)pthread_mutex_unlock(&w->lock);
        w->on_left(w->data, text);
        (void)pthread_mutex_lock(&w->lock);
        w->state = SYNC_IDLE;
    } else {
        w->text = text;
        w->state = SYNC_DONE;
    }
    (void)pthread_cond_signal(&w->moved);
}

static void *run(void *data)
{
    struct wal_sync *w = data;

    (void)pthread_setname_np(pthread_self(), "sf-sync");
    (void)pthread_mutex_lock(&w->lock);
    while (w->due || !w->ending) {
        char *text = NULL;

        if (!w->due) {
            (void)pthread_cond_wait(&w->asked, &w->lock);
            continue;
        }
        w->due = false;
        (void)pthread_mutex_unlock(&w->lock);
        rocksdb_flush_wal(w->db, /* sync= */ 1, &text);
        (void)pthread_mutex_lock(&w->lock);
        settle(w, text);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum sf_code wal_sync_new(rocksdb_t *db, wal_sync_left_cb on_left, void *data,
                          struct wal_sync **ret, struct sf_error *err)
{
    struct wal_sync *w = sf_calloc(1, sizeof(*w));

    if (w == NULL) {
        return SF_RAISE(err, SF_NOMEM, "thread that syncs");
    }
    w->db = db;
    w->on_left = on_left;
    w->data = data;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->asked, NULL);
    (void)pthread_cond_init(&w->moved, NULL);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        (void)pthread_cond_destroy(&w->moved);
        (void)pthread_cond_destroy(&w->asked);
        (void)pthread_mutex_destroy(&w->lock);
        sf_free(w);
        return SF_RAISE(err, SF_UNAVAILABLE, "no thread that syncs");
    }
    *ret = w;
    return SF_OK;
}

void wal_sync_free(struct wal_sync *w)
{
    if (w == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&w->lock);
    w->ending = true;
    (void)pthread_cond_signal(&w->asked);
    (void)pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    (void)pthread_cond_destroy(&w->moved);
    (void)pthread_cond_destroy(&w->asked);
    (void)pthread_mutex_destroy(&w->lock);
    sf_free(w);
}

void wal_sync_begin(struct wal_sync *w)
{
    (void)pthread_mutex_lock(&w->lock);
    sf_assert(w->state == SYNC_IDLE && !w->ending);
    w->state = SYNC_BEGUN;
    w->due = true;
    (void)pthread_cond_signal(&w->asked);
    (void)pthread_mutex_unlock(&w->lock);
}

/* With the lock held. */
static void wait_while(struct wal_sync *w, enum sync_state state)
{
    while (w->state == state) {
        (void)pthread_cond_wait(&w->moved, &w->lock);
    }
}

char *wal_sync_end(struct wal_sync *w)
{
    char *text;

    (void)pthread_mutex_lock(&w->lock);
    wait_while(w, SYNC_BEGUN);
    sf_assert(w->state == SYNC_DONE);
    w->state = SYNC_IDLE;
    text = w->text;
    w->text = NULL;
    (void)pthread_mutex_unlock(&w->lock);
    return text;
}

bool wal_sync_leave(struct wal_sync *w)
{
    bool is_left;

    (void)pthread_mutex_lock(&w->lock);
    is_left = w->state == SYNC_BEGUN;
    if (is_left) {
        w->state = SYNC_LEFT;
    }
    (void)pthread_mutex_unlock(&w->lock);
    return is_left;
}

void wal_sync_wait(struct wal_sync *w)
{
    (void)pthread_mutex_lock(&w->lock);
    wait_while(w, SYNC_LEFT);
    (void)pthread_mutex_unlock(&w->lock);
}
