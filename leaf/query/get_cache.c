/*
 * A hash table of chains, and one list by the time when entries were taken in. One that was asked
 * for since then has a second chance at its beginning: a hit touches no entry but its own, which
 * matters more than which of many goes.
 *
 * A key that is asked for once is not worth an entry: seen[] remembers a tag of names that were
 * offered, and only the second offer is taken. With keys spread evenly over many more rows than fit
 * nothing is copied and nothing pushed out.
 */
#include "leaf/query/get_cache.h"

#include <string.h>

#include "common/base/alloc.h"
#include "common/base/assert.h"
#include "common/base/hash.h"
#include "common/base/list.h"
#include "common/sys/crypto.h"

enum {
    BUCKETS_MIN = 1024,
    BUCKET_BYTES = 512, /* of the limit: about one entry */
    SEEN = 32768,
    CHANCES_MAX = 16,  /* given for one entry that goes */
    HEADS_PART = 8,    /* of the limit is for heads */
    HEAD_BYTES = 2048, /* that one has at least */
};

struct get_entry {
    struct get_entry *next; /* of its bucket */
    uint64_t hash;
    uint64_t serial; /* of the view */
    struct store_stamp stamp;
    struct sf_slice line;
    bool is_used;         /* since it was taken in, or had its chance */
    size_t bytes;         /* charged */
    struct sf_list order; /* in cache.order */
    char texts[];         /* key, line */
};

/* A place of one head. */
struct place {
    struct get_head head;
    struct sf_http_prepared *http; /* owned; NULL: free */
};

struct get_cache {
    struct store *store;
    size_t bytes_max;
    struct get_entry **buckets; /* NULL: nothing was kept yet */
    size_t bucket_count;        /* a power of two */
    uint16_t *seen;
    struct place *places; /* GET_CACHE_HEADS */
    struct sf_list order; /* the one that goes next at the beginning */
    uint64_t seed;
    struct get_cache_stats stats;
};

enum sf_code get_cache_new(struct store *store, size_t bytes_max, struct get_cache **ret,
                           struct sf_error *err)
{
    struct get_cache *c = sf_calloc(1, sizeof(*c));

    if (c == NULL) {
        return SF_RAISE(err, SF_NOMEM, "cache of answers");
    }
    c->store = store;
    c->bytes_max = bytes_max;
    sf_list_init(&c->order);
    sf_random_bytes(&c->seed, sizeof(c->seed));
    *ret = c;
    return SF_OK;
}

static uint64_t hash_of(const struct get_cache *c, const struct get_name *name)
{
    return sf_mix64(c->seed ^ name->view->serial * UINT64_C(0x9e3779b97f4a7c15),
                    sf_slice_text(name->key));
}

static bool is_of(const struct get_entry *e, const struct get_name *name, uint64_t hash)
{
    return e->hash == hash && e->serial == name->view->serial && strcmp(e->texts, name->key) == 0;
}

/* The place in its chain of the entry of @name, or the chain's end. */
static struct get_entry **place_of(struct get_cache *c, const struct get_name *name, uint64_t hash)
{
    struct get_entry **at = &c->buckets[hash & (c->bucket_count - 1)];

    while (*at != NULL && !is_of(*at, name, hash)) {
        at = &(*at)->next;
    }
    return at;
}

static void drop(struct get_cache *c, struct get_entry *e)
{
    struct get_entry **at = &c->buckets[e->hash & (c->bucket_count - 1)];

    while (*at != e) {
        at = &(*at)->next;
    }
    *at = e->next;
    sf_list_remove(&e->order);
    c->stats.entries--;
    c->stats.bytes -= e->bytes;
    sf_free(e);
}

/* The entry that is to go; there is one. */
static struct get_entry *next_to_go(struct get_cache *c)
{
    for (unsigned chances = 0;; chances++) {
        struct get_entry *e = SF_CONTAINER_OF(c->order.next, struct get_entry, order);

        if (!e->is_used || chances == CHANCES_MAX) {
            return e;
        }
        e->is_used = false;
        sf_list_remove(&e->order);
        sf_list_push(&c->order, &e->order);
    }
}

/* Drops entries until all fit. */
static void shrink(struct get_cache *c)
{
    while (c->stats.bytes > c->bytes_max && !sf_list_empty(&c->order)) {
        drop(c, next_to_go(c));
        c->stats.evicted++;
    }
}

static void set_place(struct get_cache *c, struct place *p, struct sf_http_prepared *http)
{
    if (p->http != NULL) {
        c->stats.bytes -= sf_http_prepared_bytes(p->http);
        sf_http_prepared_free(p->http);
    }
    p->http = http;
    c->stats.bytes += http == NULL ? 0 : sf_http_prepared_bytes(http);
}

static void drop_heads(struct get_cache *c)
{
    for (size_t i = 0; c->places != NULL && i < GET_CACHE_HEADS; i++) {
        set_place(c, &c->places[i], NULL);
    }
}

static void release_tables(struct get_cache *c)
{
    sf_free(SF_TAKE(c->buckets));
    sf_free(SF_TAKE(c->seen));
    sf_free(SF_TAKE(c->places));
}

void get_cache_free(struct get_cache *c)
{
    if (c != NULL) {
        get_cache_set_max(c, 0);
        sf_free(c);
    }
}

void get_cache_set_max(struct get_cache *c, size_t bytes_max)
{
    c->bytes_max = bytes_max;
    drop_heads(c); /* their places depend on it */
    shrink(c);
    if (bytes_max == 0) {
        release_tables(c);
    }
}

struct get_entry *get_cache_find(struct get_cache *c, const struct get_name *name)
{
    struct get_entry *e = c->buckets == NULL ? NULL : *place_of(c, name, hash_of(c, name));

    if (e == NULL || !store_stamp_holds(c->store, &e->stamp)) {
        c->stats.misses++;
        return NULL;
    }
    c->stats.hits++;
    e->is_used = true;
    return e;
}

/* The tables are made for the first row that is offered; false: there is no memory for them. */
static bool has_tables(struct get_cache *c)
{
    if (c->buckets != NULL) {
        return true;
    }
    c->bucket_count = BUCKETS_MIN;
    while (c->bucket_count < c->bytes_max / BUCKET_BYTES) {
        c->bucket_count *= 2;
    }
    c->buckets = sf_calloc(c->bucket_count, sizeof(struct get_entry *));
    c->seen = sf_calloc(SEEN, sizeof(c->seen[0]));
    c->places = sf_calloc(GET_CACHE_HEADS, sizeof(c->places[0]));
    if (c->buckets == NULL || c->seen == NULL || c->places == NULL) {
        release_tables(c);
        return false;
    }
    return true;
}

/* Whether a name with this hash was offered not long ago; it is from now on. */
static bool was_seen(struct get_cache *c, uint64_t hash)
{
    uint16_t *at = &c->seen[hash >> 32 & (SEEN - 1)];
    const uint16_t tag = (uint16_t)(hash >> 48 | 1);
    const bool was = *at == tag;

    *at = tag;
    return was;
}

static struct get_entry *entry_new(const struct get_name *name, uint64_t hash,
                                   const struct store_stamp *stamp, struct sf_slice line)
{
    const size_t key_size = strlen(name->key) + 1;
    const size_t bytes = sizeof(struct get_entry) + key_size + line.size;
    struct get_entry *e = sf_alloc(bytes);

    if (e == NULL) {
        return NULL;
    }
    *e = (struct get_entry){
        .hash = hash, .serial = name->view->serial, .stamp = *stamp, .bytes = bytes};
    memcpy(e->texts, name->key, key_size);
    memcpy(e->texts + key_size, line.data, line.size);
    e->line = sf_slice_of(e->texts + key_size, line.size);
    return e;
}

void get_cache_offer(struct get_cache *c, const struct get_name *name,
                     const struct store_stamp *stamp, struct sf_slice line)
{
    const uint64_t hash = hash_of(c, name);
    struct get_entry *old;
    struct get_entry *e;

    if (line.size > c->bytes_max / 8 || !has_tables(c)) {
        return;
    }
    old = *place_of(c, name, hash);
    if (old == NULL && !was_seen(c, hash)) {
        return;
    }
    if (old != NULL) {
        drop(c, old); /* no longer right, or it would have been found */
    }
    e = entry_new(name, hash, stamp, line);
    if (e == NULL) {
        return;
    }
    e->next = c->buckets[hash & (c->bucket_count - 1)];
    c->buckets[hash & (c->bucket_count - 1)] = e;
    sf_list_push(&c->order, &e->order);
    c->stats.entries++;
    c->stats.bytes += e->bytes;
    shrink(c);
}

struct sf_slice get_entry_line(const struct get_entry *e)
{
    return e->line;
}

/* How many heads there is room for. */
static size_t head_count(const struct get_cache *c)
{
    const size_t fit = c->places == NULL ? 0 : c->bytes_max / HEADS_PART / HEAD_BYTES;

    return fit < GET_CACHE_HEADS ? fit : GET_CACHE_HEADS;
}

/* Sizes that follow one another have places of their own. */
static struct place *place_of_head(const struct get_cache *c, const struct get_head *head)
{
    const uint64_t n = head->serial * UINT64_C(0x9e3779b97f4a7c15) >> 32;
    const size_t count = head_count(c);

    return count == 0 ? NULL : &c->places[(n + head->size) % count];
}

struct sf_http_prepared *get_cache_http(const struct get_cache *c, const struct get_head *head)
{
    const struct place *p = place_of_head(c, head);

    return p != NULL && p->head.serial == head->serial && p->head.seq == head->seq &&
                   p->head.epoch == head->epoch && p->head.size == head->size
               ? p->http
               : NULL;
}

/* Bytes that one head may hold; 0: there are none. */
static size_t head_bytes_max(const struct get_cache *c)
{
    const size_t count = head_count(c);

    return count == 0 ? 0 : c->bytes_max / HEADS_PART / count;
}

bool get_cache_takes_head(const struct get_cache *c, size_t size)
{
    return size + HEAD_BYTES / 2 <= head_bytes_max(c); /* the headers take less than a half */
}

void get_cache_set_http(struct get_cache *c, const struct get_head *head,
                        struct sf_http_prepared *http)
{
    struct place *p = place_of_head(c, head);

    if (p == NULL || sf_http_prepared_bytes(http) > head_bytes_max(c)) {
        sf_http_prepared_free(http);
        return;
    }
    set_place(c, p, http);
    p->head = *head;
    shrink(c);
}

struct get_cache_stats get_cache_stats(const struct get_cache *c)
{
    struct get_cache_stats s = c->stats;

    s.bytes_max = c->bytes_max;
    return s;
}
