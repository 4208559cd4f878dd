/*
 *   IDLE --(an account is marked)--> WRITE --> PUSH --(all answered 200)--> VERIFY --(same)--> IDLE
 *     ^                                 |       |                             |
 *     |                             (disk)  (silence, refusal, not connected) |
 *     +-------- BACKOFF <---------------+-------+-----------------------------+
 *
 * The JWT is written to its file first: what a restarted server is preloaded with is then never
 * older than what was in force. A push is answered by every server of the cluster. "200" says
 * stored, not in force, so what the server has in force is asked for as well.
 */
#include "hub/claims/pusher.h"

#include <stdio.h>
#include <string.h>

#include "common/base/alloc.h"
#include "common/sys/file.h"
#include "common/sys/log.h"
#include "common/wire/json.h"

#define BACKOFF_MIN_NS (UINT64_C(100) * SF_NS_PER_MS)
#define BACKOFF_MAX_NS (UINT64_C(5) * SF_NS_PER_S)

enum state { IDLE, WRITE, PUSH, VERIFY, BACKOFF };

/* An account that is marked. */
struct job {
    struct sf_list link;
    const struct directory_account *account;
    char key[64];
};

/* The file being written; the thread of the pool has it until its done task runs. */
struct writing {
    struct sf_work work;
    char *path; /* owned */
    char *text; /* owned */
    enum sf_code code;
    struct sf_error error;
};

struct pusher {
    struct sf_rt *rt;
    struct sf_bus *sys;
    const struct directory *directory;
    const char *dir;
    enum state state;
    struct writing writing;
    size_t servers;
    struct sf_list jobs; /* the first is under way */
    size_t job_count;
    struct sf_list waits;
    struct sf_bus_sub lookups;
    struct sf_bus_sub answers;
    char inbox[128];
    uint64_t attempt;    /* last token of the reply subject, so that late answers are not counted */
    uint64_t generation; /* of the JWT on its way */
    size_t answered;
    bool refused;
    struct sf_timer timer; /* PUSH: answers; BACKOFF: until the next attempt */
    uint64_t backoff_ns;
    struct sf_bus_call info;
    struct sf_task wake;
    bool wake_posted;
    bool closing;
};

static void step(struct pusher *p);

/* The memory goes when neither the wake task nor the pool has it. */
static void release(struct pusher *p)
{
    if (!p->wake_posted && p->writing.path == NULL) {
        sf_free(p);
    }
}

static struct job *first(const struct pusher *p)
{
    return SF_CONTAINER_OF(p->jobs.next, struct job, link);
}

/* --- the server asks -------------------------------------------------------------------------- */

/* $SYS.REQ.ACCOUNT.<key>.CLAIMS.LOOKUP: the JWT, or nothing when we know no such account. */
static void on_lookup(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct pusher *p = sub->data;
    const char *at = m->subject + strlen("$SYS.REQ.ACCOUNT.");
    char key[64];
    const struct directory_account *a;

    if (m->reply == NULL || *m->reply == '\0') {
        return;
    }
    (void)snprintf(key, sizeof(key), "%.*s", (int)strcspn(at, "."), at);
    a = directory_get(p->directory, key);
    const struct sf_bus_msg answer = {
        .subject = m->reply,
        .data = sf_slice_text(a == NULL ? NULL : a->jwt),
    };

    if (sf_bus_publish(p->sys, &answer, NULL) != SF_OK) {
        sf_log(SF_LOG_DEBUG, "claims.lookup_lost", SF_F_TEXT("account", key)); /* asked again */
    }
}

/* --- pushing ---------------------------------------------------------------------------------- */

static void back_off(struct pusher *p, const char *why)
{
    sf_log(SF_LOG_WARN, "claims.push_again", SF_F_TEXT("account", first(p)->key),
           SF_F_TEXT("why", why), SF_F_UINT("in_ms", p->backoff_ns / SF_NS_PER_MS));
    p->state = BACKOFF;
    sf_rt_timer_start(p->rt, &p->timer, p->backoff_ns);
    p->backoff_ns = p->backoff_ns * 2 > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : p->backoff_ns * 2;
}

static void write_file(struct sf_work *w)
{
    struct writing *x = SF_CONTAINER_OF(w, struct writing, work);

    x->code = sf_file_write(x->path, sf_slice_text(x->text), 0600, &x->error);
}

static void push(struct pusher *p);

static void on_written(struct sf_task *t)
{
    struct sf_work *w = SF_CONTAINER_OF(t, struct sf_work, done);
    struct writing *x = SF_CONTAINER_OF(w, struct writing, work);
    struct pusher *p = SF_CONTAINER_OF(x, struct pusher, writing);

    sf_free(SF_TAKE(x->path));
    sf_free(SF_TAKE(x->text));
    if (p->closing) {
        release(p);
    } else if (x->code != SF_OK) {
        sf_log(SF_LOG_ERROR, "claims.write_failed", SF_F_ERROR(&x->error));
        back_off(p, "its file cannot be written");
    } else {
        push(p);
    }
}

static void write_first(struct pusher *p)
{
    struct writing *x = &p->writing;
    size_t size = strlen(p->dir) + 80;

    x->path = sf_alloc(size);
    x->text = sf_strdup(first(p)->account->jwt);
    if (x->path == NULL || x->text == NULL) {
        sf_free(SF_TAKE(x->path));
        sf_free(SF_TAKE(x->text));
        back_off(p, "out of memory");
        return;
    }
    (void)snprintf(x->path, size, "%s/%s.jwt", p->dir, first(p)->key);
    p->generation = first(p)->account->generation;
    p->state = WRITE;
    x->work = (struct sf_work){
        .pool = SF_POOL_COMMIT,
        .work = write_file,
        .done = {.run = on_written},
    };
    sf_rt_work(p->rt, &x->work);
}

/* The text that was written; a newer one has its own turn. */
static void push(struct pusher *p)
{
    struct job *job = first(p);
    char reply[160];
    struct sf_bus_msg m = {
        .subject = "$SYS.REQ.CLAIMS.UPDATE",
        .reply = reply,
        .data = sf_slice_text(job->account->jwt),
    };

    p->attempt++;
    p->answered = 0;
    p->refused = false;
    (void)snprintf(reply, sizeof(reply), "%s.%lu", p->inbox, (unsigned long)p->attempt);
    if (job->account->generation != p->generation) {
        p->state = IDLE;
        step(p);
        return;
    }
    p->state = PUSH;
    if (sf_bus_publish(p->sys, &m, NULL) != SF_OK) {
        back_off(p, "not connected");
        return;
    }
    sf_rt_timer_start(p->rt, &p->timer, PUSHER_ANSWER_NS);
}

/* {"data":{"code":200}} or {"error":...} */
static bool is_accepted(struct sf_slice text)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    int64_t code = 0;

    return sf_json_parse(text, &doc, NULL) == SF_OK &&
           sf_json_as_int(sf_json_path(sf_json_root(doc), "data.code"), &code) && code == 200;
}

static void on_answer(struct sf_bus_sub *sub, const struct sf_bus_msg *m)
{
    struct pusher *p = sub->data;
    const char *token = strrchr(m->subject, '.');
    char expected[32];

    (void)snprintf(expected, sizeof(expected), ".%lu", (unsigned long)p->attempt);
    if (p->state != PUSH || token == NULL || strcmp(token, expected) != 0) {
        return; /* of an attempt that was given up */
    }
    p->answered++;
    p->refused = p->refused || !is_accepted(m->data);
    step(p);
}

/*
 * Whether the server has our text in force: {"data":{"jwt":...}}. An account that nobody has used
 * yet is not loaded ("does not exist"): its first use gets the text that was pushed, or asks us.
 */
static bool is_in_force(const struct pusher *p, struct sf_slice text)
{
    SF_CLEANUP(sf_json_freep) struct sf_json_doc *doc = NULL;
    const char *trouble = "";
    struct sf_slice jwt;

    if (sf_json_parse(text, &doc, NULL) != SF_OK) {
        return false;
    }
    if (sf_json_as_text(sf_json_path(sf_json_root(doc), "error.description"), &trouble)) {
        return strstr(trouble, "does not exist") != NULL;
    }
    return sf_json_as_slice(sf_json_path(sf_json_root(doc), "data.jwt"), &jwt) &&
           sf_slice_equal(jwt, sf_slice_text(first(p)->account->jwt));
}

static void end_waits(struct pusher *p, const struct directory_account *account)
{
    struct sf_list over;
    struct sf_list *at = p->waits.next;

    sf_list_init(&over);
    while (at != &p->waits) {
        struct pusher_wait *w = SF_CONTAINER_OF(at, struct pusher_wait, link);

        at = at->next;
        if (w->account == account) {
            sf_list_remove(&w->link);
            sf_list_push(&over, &w->link);
        }
    }
    while (!sf_list_empty(&over)) {
        struct pusher_wait *w = SF_CONTAINER_OF(sf_list_pop(&over), struct pusher_wait, link);

        w->done(w);
    }
}

/* The account under way is in force; done callbacks may mark it again, which makes a new job. */
static void complete(struct pusher *p)
{
    struct job *job = first(p);
    const struct directory_account *account = job->account;

    p->state = IDLE;
    p->backoff_ns = BACKOFF_MIN_NS;
    sf_list_remove(&job->link);
    p->job_count--;
    sf_free(job);
    end_waits(p, account);
}

static void on_info(struct sf_bus_call *call, enum sf_bus_outcome outcome,
                    const struct sf_bus_msg *m)
{
    struct pusher *p = call->data;

    if (first(p)->account->generation != p->generation) {
        p->state = IDLE; /* changed meanwhile: the newer text goes out */
    } else if (outcome == SF_BUS_ANSWERED && is_in_force(p, m->data)) {
        complete(p);
    } else {
        back_off(p, "the server has another JWT in force");
    }
    step(p);
}

static void verify(struct pusher *p)
{
    char subject[128];
    const struct sf_bus_msg m = {.subject = subject};

    (void)snprintf(subject, sizeof(subject), "$SYS.REQ.ACCOUNT.%s.INFO", first(p)->key);
    sf_rt_timer_stop(p->rt, &p->timer);
    p->state = VERIFY;
    p->info = (struct sf_bus_call){.done = on_info, .data = p};
    if (sf_bus_request(p->sys, &p->info, &m, PUSHER_ANSWER_NS, NULL) != SF_OK) {
        back_off(p, "not connected");
    }
}

static void step(struct pusher *p)
{
    switch (p->state) {
    case IDLE:
        if (!sf_list_empty(&p->jobs)) {
            write_first(p);
        }
        break;
    case PUSH:
        if (p->refused) {
            back_off(p, "a server refused it");
        } else if (p->answered >= p->servers) {
            verify(p);
        }
        break;
    case WRITE:
    case VERIFY:
    case BACKOFF:
        break;
    }
}

static void on_timer(struct sf_timer *t)
{
    struct pusher *p = SF_CONTAINER_OF(t, struct pusher, timer);

    if (p->state == PUSH) {
        back_off(p, "a server did not answer");
    } else {
        p->state = IDLE;
        step(p);
    }
}

static void on_wake(struct sf_task *t)
{
    struct pusher *p = SF_CONTAINER_OF(t, struct pusher, wake);

    p->wake_posted = false;
    if (p->closing) {
        release(p);
    } else {
        step(p);
    }
}

/* --- outside ---------------------------------------------------------------------------------- */

static enum sf_code listen_to(struct pusher *p, struct sf_error *err)
{
    char wildcard[160];
    enum sf_code code = sf_bus_new_inbox(p->sys, p->inbox, sizeof(p->inbox), err);

    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(wildcard, sizeof(wildcard), "%s.*", p->inbox);
    code = sf_bus_subscribe(p->sys, &p->answers, wildcard, NULL, err);
    if (code != SF_OK) {
        return code;
    }
    return sf_bus_subscribe(p->sys, &p->lookups, "$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", "hub", err);
}

enum sf_code pusher_new(const struct pusher_options *o, struct pusher **ret, struct sf_error *err)
{
    struct pusher *p = sf_calloc(1, sizeof(*p));
    enum sf_code code;

    if (p == NULL) {
        return SF_RAISE(err, SF_NOMEM, "claims pusher");
    }
    p->rt = o->rt;
    p->sys = o->sys;
    p->directory = o->directory;
    p->dir = o->dir;
    p->servers = 1;
    p->backoff_ns = BACKOFF_MIN_NS;
    p->timer = (struct sf_timer){.fire = on_timer};
    p->wake = (struct sf_task){.run = on_wake};
    p->answers = (struct sf_bus_sub){.on_msg = on_answer, .data = p};
    p->lookups = (struct sf_bus_sub){.on_msg = on_lookup, .data = p};
    sf_list_init(&p->jobs);
    sf_list_init(&p->waits);
    code = listen_to(p, err);
    if (code != SF_OK) {
        pusher_free(p);
        return code;
    }
    *ret = p;
    return SF_OK;
}

void pusher_free(struct pusher *p)
{
    if (p == NULL) {
        return;
    }
    sf_rt_timer_stop(p->rt, &p->timer);
    sf_bus_cancel(p->sys, &p->info);
    sf_bus_unsubscribe(p->sys, &p->answers);
    sf_bus_unsubscribe(p->sys, &p->lookups);
    while (!sf_list_empty(&p->jobs)) {
        sf_free(SF_CONTAINER_OF(sf_list_pop(&p->jobs), struct job, link));
    }
    while (!sf_list_empty(&p->waits)) {
        (void)sf_list_pop(&p->waits);
    }
    p->closing = true;
    release(p);
}

void pusher_set_servers(struct pusher *p, size_t count)
{
    p->servers = count == 0 ? 1 : count;
}

static struct job *job_of(const struct pusher *p, const struct directory_account *account)
{
    for (struct sf_list *at = p->jobs.next; at != &p->jobs; at = at->next) {
        struct job *job = SF_CONTAINER_OF(at, struct job, link);

        if (job->account == account) {
            return job;
        }
    }
    return NULL;
}

enum sf_code pusher_mark(struct pusher *p, const char *account, struct sf_error *err)
{
    const struct directory_account *a = directory_get(p->directory, account);
    struct job *job = job_of(p, a);

    if (job == NULL) {
        job = sf_calloc(1, sizeof(*job));
        if (job == NULL) {
            return SF_RAISE(err, SF_NOMEM, "push of account %.56s", account);
        }
        job->account = a;
        (void)snprintf(job->key, sizeof(job->key), "%s", account);
        sf_list_push(&p->jobs, &job->link);
        p->job_count++;
    }
    if (!p->wake_posted) {
        p->wake_posted = true;
        sf_rt_post(p->rt, &p->wake);
    }
    return SF_OK;
}

void pusher_wait(struct pusher *p, struct pusher_wait *w, const char *account)
{
    w->account = directory_get(p->directory, account);
    sf_list_push(&p->waits, &w->link);
}

void pusher_cancel(struct pusher *p, struct pusher_wait *w)
{
    (void)p;
    sf_list_remove(&w->link);
}

bool pusher_is_done(const struct pusher *p, const char *account)
{
    return job_of(p, directory_get(p->directory, account)) == NULL;
}

size_t pusher_pending(const struct pusher *p)
{
    return p->job_count;
}
