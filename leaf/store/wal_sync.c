#include "leaf/store/wal_sync.h"

#include <pthread.h>
#include <stdbool.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"

/*
 *   IDLE --- begin ---> ASKED --- thread ---> DONE
 *    ^                                         |
 *    +------------------- end -----------------+
 */
enum sync_state { SYNC_IDLE, SYNC_ASKED, SYNC_DONE };

struct wal_sync {
    rocksdb_t *db;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    pthread_cond_t done;
    enum sync_state state;
    bool ending;
    char *text;
};

static void *run(void *data)
{
    struct wal_sync *w = data;

    (void)pthread_setname_np(pthread_self(), "sf-sync");
    (void)pthread_mutex_lock(&w->lock);
    while (!w->ending) {
        char *text = NULL;

        if (w->state != SYNC_ASKED) {
            (void)pthread_cond_wait(&w->asked, &w->lock);
            continue;
        }
        (void)pthread_mutex_unlock(&w->lock);
        rocksdb_flush_wal(w->db, /* sync= */ 1, &text);
        (void)pthread_mutex_lock(&w->lock);
        w->text = text;
        w->state = SYNC_DONE;
        (void)pthread_cond_signal(&w->done);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

enum sf_code wal_sync_new(rocksdb_t *db, struct wal_sync **ret, struct sf_error *err)
{
    struct wal_sync *w = sf_calloc(1, sizeof(*w));

    if (w == NULL) {
        return SF_RAISE(err, SF_NOMEM, "thread that syncs");
    }
    w->db = db;
    (void)pthread_mutex_init(&w->lock, NULL);
    (void)pthread_cond_init(&w->asked, NULL);
    (void)pthread_cond_init(&w->done, NULL);
    if (pthread_create(&w->thread, NULL, run, w) != 0) {
        (void)pthread_cond_destroy(&w->done);
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
    (void)pthread_cond_destroy(&w->done);
    (void)pthread_cond_destroy(&w->asked);
    (void)pthread_mutex_destroy(&w->lock);
    sf_free(w);
}

void wal_sync_begin(struct wal_sync *w)
{
    (void)pthread_mutex_lock(&w->lock);
    sf_assert(w->state == SYNC_IDLE && !w->ending);
    w->state = SYNC_ASKED;
    (void)pthread_cond_signal(&w->asked);
    (void)pthread_mutex_unlock(&w->lock);
}

char *wal_sync_end(struct wal_sync *w)
{
    char *text;

    (void)pthread_mutex_lock(&w->lock);
    sf_assert(w->state != SYNC_IDLE);
    while (w->state != SYNC_DONE) {
        (void)pthread_cond_wait(&w->done, &w->lock);
    }
    w->state = SYNC_IDLE;
    text = w->text;
    w->text = NULL;
    (void)pthread_mutex_unlock(&w->lock);
    return text;
}
