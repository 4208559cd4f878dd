/*
 *   hub: STARTING -- ready --> every leaf in turn: ask for a join token -> STARTING -- ready --> up
 *
 * One step function looks at what stands and begins the one thing that is next: a probe, a start,
 * or a wait of PROBE_EVERY_NS. A child that ends is started again by sf_process and probed anew.
 */
#include "cli/dev_mesh.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "cli/dev_file.h"
#include "cli/dev_probe.h"
#include "common/base/alloc.h"
#include "common/base/str.h"
#include "common/contract/contract.h"
#include "common/sys/file.h"
#include "common/sys/rt_uv.h"
#include "proto/errors.h"

#define PROBE_EVERY_NS (30 * SF_NS_PER_MS)
#define UP_WITHIN_NS   (60 * SF_NS_PER_S)
#define WATCH_EVERY_NS (2 * SF_NS_PER_S)

enum {
    FAILURES_MAX = 3,
    MOVES_MAX = 8,
    MOVE_STEPS = 13,
    LEAFNODE_PORT_FIRST = 7422,
    ASK_BYTES_MAX = 16384
};

struct dev_mesh {
    const struct dev_options *options;
    struct rt_uv *uv;
    struct sf_rt *rt;
    struct sf_lock lock;
    struct dev_node hub;
    struct dev_node leaves[CONTEXT_LEAVES_MAX];
    size_t leaf_count;
    char mesh[64];
    char hub_key[64];
    struct dev_probe probe;
    struct dev_node *probed; /* whom the probe under way is about; NULL: none is */
    struct sf_timer timer;
    bool waiting;          /* for the timer */
    struct sf_timer watch; /* looks whether the data directory is still there */
    uint64_t deadline_ns;  /* for being up; 0: it is */
    bool up_told;
    bool stopping;
    struct sf_error error; /* code SF_OK, or why it stops */
};

static void step(struct dev_mesh *m);
static void on_stopped(struct sf_process *p, void *data);

/* --- ports and nodes -------------------------------------------------------------------------- */

static bool is_taken(const struct dev_mesh *m, uint16_t port)
{
    bool taken = port == m->hub.http || port == m->hub.nats || port == m->hub.leafnode;

    for (size_t i = 0; i < m->leaf_count && !taken; i++) {
        taken = port == m->leaves[i].http || port == m->leaves[i].nats;
    }
    return taken;
}

/* The port of the last run when it is free, else the next one that is. */
static enum sf_code choose_port(const struct dev_mesh *m, const char *last_url, uint16_t first,
                                uint16_t *ret, struct sf_error *err)
{
    const char *colon = last_url != NULL ? strrchr(last_url, ':') : NULL;
    unsigned last = 0;
    uint16_t port = first;

    if (colon != NULL && sscanf(colon + 1, "%u", &last) == 1 && last > 0 && last < 65536 &&
        !is_taken(m, (uint16_t)last) && sf_port_is_free((uint16_t)last)) {
        *ret = (uint16_t)last;
        return SF_OK;
    }
    for (;;) {
        enum sf_code code = sf_port_find(port, &port, err);

        if (code != SF_OK) {
            return code;
        }
        if (!is_taken(m, port)) {
            *ret = port;
            return SF_OK;
        }
        port++;
    }
}

static struct dev_node *find_leaf(struct dev_mesh *m, const char *domain)
{
    for (size_t i = 0; i < m->leaf_count; i++) {
        if (strcmp(m->leaves[i].domain, domain) == 0) {
            return &m->leaves[i];
        }
    }
    return NULL;
}

/* Refused here already: a leaf that can never join would keep the whole mesh from coming up. */
static enum sf_code check_domain(const char *domain, struct sf_error *err)
{
    if (!sf_name_is_product(sf_slice_text(domain))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME, "'%s' is not a name of a domain",
                          domain);
    }
    if (!sf_name_is_domain(sf_slice_text(domain))) {
        return SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_NAME, "the name '%s' is taken by the mesh",
                          domain);
    }
    return SF_OK;
}

static enum sf_code add_leaf(struct dev_mesh *m, const char *domain,
                             const struct context_process *last, struct sf_error *err)
{
    struct dev_node *n = &m->leaves[m->leaf_count];
    enum sf_code code = check_domain(domain, err);

    if (code != SF_OK || find_leaf(m, domain) != NULL) {
        return code;
    }
    if (m->leaf_count == CONTEXT_LEAVES_MAX) {
        return SF_RAISE(err, SF_BUSY, "more than %d leaves", CONTEXT_LEAVES_MAX);
    }
    *n = (struct dev_node){.state = DEV_WAITING};
    (void)snprintf(n->domain, sizeof(n->domain), "%s", domain);
    (void)snprintf(n->data, sizeof(n->data), "%s/leaf-%s", m->options->data_dir, domain);
    code = sf_dir_make(n->data, 0700, err);
    (void)snprintf(n->token_path, sizeof(n->token_path), "%s/leaf-%s/join.token",
                   m->options->data_dir, domain);
    if (code == SF_OK) {
        code = choose_port(m, last != NULL ? last->http : NULL, (uint16_t)(m->hub.http + 1),
                           &n->http, err);
    }
    if (code == SF_OK) {
        code = choose_port(m, last != NULL ? last->nats : NULL, (uint16_t)(m->hub.nats + 1),
                           &n->nats, err);
    }
    m->leaf_count += code == SF_OK;
    return code;
}

static bool hub_has_moved(const struct dev_mesh *m, const struct context *last)
{
    char http[DEV_URL_MAX];

    (void)snprintf(http, sizeof(http), "http://127.0.0.1:%u", m->hub.http);
    return strcmp(http, last->hub.http) != 0 || m->hub.leafnode != last->hub.leafnode_port;
}

/* A leaf keeps the addresses of the hub that it joined; without them it joins again, by its key. */
static enum sf_code forget_hub(const struct dev_mesh *m, const char *domain, struct sf_error *err)
{
    char path[CLI_PATH_MAX + 2 * DEV_NAME_MAX];

    (void)snprintf(path, sizeof(path), "%s/leaf-%s/identity.json", m->options->data_dir, domain);
    return sf_file_remove(path, err);
}

/* Whether the leaf of the last run ever started: one that could not is taken up only when asked. */
static bool has_started(const struct context_process *leaf)
{
    static const char *const traces[] = {"keys/domain.seed", "identity.json"};
    bool found = false;

    for (size_t i = 0; !found && i < SF_COUNT(traces); i++) {
        char path[CLI_PATH_MAX];

        (void)snprintf(path, sizeof(path), "%s/%s", leaf->data, traces[i]);
        found = sf_file_exists(path);
    }
    return found;
}

/* Hub and leaves as the last run had them, and the leaves asked for now. */
static enum sf_code plan(struct dev_mesh *m, struct sf_error *err)
{
    const struct dev_options *o = m->options;
    struct context last = {.doc = NULL};
    char leafnode[16];
    enum sf_code code = context_read(o->data_dir, &last, err);

    if (code != SF_OK && code != SF_ABSENT) {
        return code;
    }
    (void)snprintf(m->mesh, sizeof(m->mesh), "%s", last.mesh != NULL ? last.mesh : "");
    (void)snprintf(m->hub_key, sizeof(m->hub_key), "%s", last.hub_key != NULL ? last.hub_key : "");
    (void)snprintf(m->hub.data, sizeof(m->hub.data), "%s/hub", o->data_dir);
    code = choose_port(m, last.hub.http, o->http_port, &m->hub.http, err);
    code = code == SF_OK ? choose_port(m, last.hub.nats, o->nats_port, &m->hub.nats, err) : code;
    /* Leaves keep the address that they joined by. */
    (void)snprintf(leafnode, sizeof(leafnode), ":%d", (int)last.hub.leafnode_port);
    code =
        code == SF_OK ? choose_port(m, leafnode, LEAFNODE_PORT_FIRST, &m->hub.leafnode, err) : code;
    for (size_t i = 0; i < last.leaf_count && code == SF_OK; i++) {
        if (!has_started(&last.leaves[i])) {
            continue;
        }
        code = add_leaf(m, last.leaves[i].domain, &last.leaves[i], err);
        if (code == SF_OK && hub_has_moved(m, &last)) {
            code = forget_hub(m, last.leaves[i].domain, err);
        }
    }
    for (size_t i = 0; i < o->leaf_count && code == SF_OK; i++) {
        code = add_leaf(m, o->leaves[i], NULL, err);
    }
    context_done(&last);
    if (code == SF_OK && m->leaf_count == 0) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_USAGE,
                          "name at least one leaf, like: sheaf dev --leaf sales");
    }
    return code;
}

static void write_file(struct dev_mesh *m, bool running)
{
    struct sf_error err;
    const struct dev_file f = {
        .data_dir = m->options->data_dir,
        .mesh = m->mesh,
        .hub_key = m->hub_key,
        .error = m->error.code != SF_OK ? m->error.text : NULL,
        .pid = running ? getpid() : 0,
        .hub = &m->hub,
        .leaves = m->leaves,
        .leaf_count = m->leaf_count,
    };

    if (dev_file_write(&f, &err) != SF_OK && m->error.code == SF_OK) {
        m->error = err;
        m->stopping = true;
    }
}

/* --- children --------------------------------------------------------------------------------- */

static struct dev_node *node_of(struct dev_mesh *m, const struct sf_process *p)
{
    for (size_t i = 0; i < m->leaf_count; i++) {
        if (m->leaves[i].process == p) {
            return &m->leaves[i];
        }
    }
    return &m->hub;
}

/* The number of an error as our programs print it: "... SHEAF-E0702: ..."; INTERNAL without. */
static uint16_t number_of(const char *words)
{
    const char *at = strstr(words, "SHEAF-E");
    uint64_t number = 0;

    if (at == NULL || sf_parse_u64(sf_slice_of(at + 7, 4), &number) != SF_PARSE_OK) {
        return SHEAF_E_INTERNAL;
    }
    return (uint16_t)number;
}

static void give_up(struct dev_mesh *m, const struct dev_node *n, const char *why)
{
    char words[200];

    dev_node_last_words(n, words, sizeof(words));
    (void)SF_RAISE_E(&m->error, SF_UNAVAILABLE, number_of(words), "%s%s %s%s%s",
                     n->domain[0] == '\0' ? "hub" : "leaf ", n->domain, why,
                     words[0] != '\0' ? "; its log ends with: " : "", words);
    m->stopping = true;
}

/*
 * Somebody else took a port between our look and the child's: other ports, and a new child. The old
 * one has to be gone first: on_stopped() goes on.
 */
static void move_node(struct dev_mesh *m, struct dev_node *n)
{
    n->state = DEV_ENDING;
    n->is_moving = true;
    n->moves++;
    sf_process_stop(n->process, on_stopped, m);
}

static void choose_again(struct dev_mesh *m, struct dev_node *n)
{
    uint16_t step = (uint16_t)(1 + getpid() % MOVE_STEPS); /* another one than who moves with us */
    struct sf_error *err = &m->error;
    enum sf_code code = choose_port(m, NULL, (uint16_t)(n->http + step), &n->http, err);

    code = code == SF_OK ? choose_port(m, NULL, (uint16_t)(n->nats + step), &n->nats, err) : code;
    if (code == SF_OK && n == &m->hub) {
        code = choose_port(m, NULL, (uint16_t)(n->leafnode + step), &n->leafnode, err);
    }
    n->is_moving = false;
    n->failures = 0;
    n->state = DEV_WAITING;
    m->stopping = m->stopping || code != SF_OK;
}

/* A child that was never ready has ended again and again, or for a reason that stays. */
static void on_failed_start(struct dev_mesh *m, struct dev_node *n)
{
    char words[200];

    dev_node_last_words(n, words, sizeof(words));
    if (number_of(words) == SHEAF_E_PORT_IN_USE && n->moves < MOVES_MAX) {
        move_node(m, n);
    } else if (n->failures >= FAILURES_MAX) {
        give_up(m, n, "does not start");
    }
}

static void on_process_up(struct sf_process *p, int pid, void *data)
{
    struct dev_mesh *m = data;

    (void)p;
    (void)pid;
    step(m);
}

static void on_process_down(struct sf_process *p, const struct sf_process_exit *e, void *data)
{
    struct dev_mesh *m = data;
    struct dev_node *n = node_of(m, p);

    if (!e->stopping && !m->stopping && !n->is_moving) {
        n->state = DEV_STARTING;
        n->failures++;
        write_file(m, /* running= */ true);
        if (!n->was_ready) {
            on_failed_start(m, n);
        }
    }
    step(m);
}

static void on_stopped(struct sf_process *p, void *data)
{
    struct dev_mesh *m = data;
    struct dev_node *n = node_of(m, p);

    n->state = DEV_STOPPED;
    if (n->is_moving && !m->stopping) {
        sf_process_free(n->process);
        n->process = NULL;
        choose_again(m, n);
    }
    step(m);
}

static void start_node(struct dev_mesh *m, struct dev_node *n)
{
    const struct dev_node_callbacks callbacks = {
        .on_up = on_process_up, .on_down = on_process_down, .data = m};

    if (dev_node_start(n, m->uv, m->hub.http, &callbacks, &m->error) != SF_OK) {
        m->stopping = true;
    }
    write_file(m, /* running= */ true);
}

/* --- probes ----------------------------------------------------------------------------------- */

static void on_ready(struct dev_mesh *m, struct dev_node *n)
{
    n->state = DEV_READY;
    n->was_ready = true;
    n->failures = 0;
    if (n == &m->hub) {
        (void)snprintf(m->mesh, sizeof(m->mesh), "%s", m->probe.mesh);
        if (m->hub_key[0] == '\0') { /* trusted at first sight, and then kept */
            (void)snprintf(m->hub_key, sizeof(m->hub_key), "%s", m->probe.hub_key);
        }
    }
    write_file(m, /* running= */ true);
}

static void on_probe(struct sf_task *t)
{
    struct dev_probe *p = SF_CONTAINER_OF(t, struct dev_probe, work.done);
    struct dev_mesh *m = SF_CONTAINER_OF(p, struct dev_mesh, probe);
    struct dev_node *n = m->probed;

    m->probed = NULL;
    if (m->stopping) {
        step(m);
        return;
    }
    if (p->code != SF_OK && p->question == DEV_ASK_TOKEN && !sf_code_is_transient(p->code)) {
        m->error = p->error;
        m->stopping = true;
    } else if (p->code != SF_OK) {
        m->waiting = true;
        sf_rt_timer_start(m->rt, &m->timer, PROBE_EVERY_NS);
    } else if (n->state == DEV_STARTING) {
        on_ready(m, n);
    } else if (n->state == DEV_WAITING) {
        start_node(m, n);
    }
    step(m);
}

static void ask(struct dev_mesh *m, struct dev_node *n, enum dev_question question)
{
    struct dev_probe *p = &m->probe;

    *p = (struct dev_probe){.question = question};
    (void)snprintf(p->base, sizeof(p->base), "http://127.0.0.1:%u",
                   question == DEV_ASK_LEAF ? n->http : m->hub.http);
    (void)snprintf(p->hub, sizeof(p->hub), "http://127.0.0.1:%u", m->hub.http);
    (void)snprintf(p->hub_data, sizeof(p->hub_data), "%s", m->hub.data);
    (void)snprintf(p->domain, sizeof(p->domain), "%s", n->domain);
    (void)snprintf(p->token_path, sizeof(p->token_path), "%s", n->token_path);
    (void)snprintf(p->mesh, sizeof(p->mesh), "%s", m->mesh);
    m->probed = n;
    dev_probe_start(m->rt, p, on_probe);
}

/* --- the step --------------------------------------------------------------------------------- */

/* Leaves first, so that they can say goodbye to the hub. */
static void step_down(struct dev_mesh *m)
{
    bool leaves_left = false;

    for (size_t i = 0; i < m->leaf_count; i++) {
        struct dev_node *n = &m->leaves[i];

        if (n->process == NULL || n->state == DEV_STOPPED) {
            continue;
        }
        leaves_left = true;
        if (n->state != DEV_ENDING) {
            n->state = DEV_ENDING;
            sf_process_stop(n->process, on_stopped, m);
        }
    }
    if (leaves_left) {
        return;
    }
    if (m->hub.process != NULL && m->hub.state != DEV_STOPPED) {
        if (m->hub.state != DEV_ENDING) {
            m->hub.state = DEV_ENDING;
            sf_process_stop(m->hub.process, on_stopped, m);
        }
        return;
    }
    if (m->probed == NULL) {
        sf_rt_timer_stop(m->rt, &m->timer);
        sf_rt_timer_stop(m->rt, &m->watch);
        rt_uv_stop(m->uv);
    }
}

/* The first node that is not ready; NULL: all are. */
static struct dev_node *next_node(struct dev_mesh *m)
{
    if (m->hub.state != DEV_READY) {
        return &m->hub;
    }
    for (size_t i = 0; i < m->leaf_count; i++) {
        if (m->leaves[i].state != DEV_READY) {
            return &m->leaves[i];
        }
    }
    return NULL;
}

static void step(struct dev_mesh *m)
{
    struct dev_node *n = next_node(m);

    if (!m->stopping && n != NULL && m->deadline_ns != 0 && sf_rt_now_ns(m->rt) > m->deadline_ns) {
        give_up(m, n, "was not ready in time");
    }
    if (m->stopping) {
        step_down(m);
        return;
    }
    if (n == NULL) {
        m->deadline_ns = 0;
        if (!m->up_told) {
            m->up_told = true;
            m->options->on_up(m->options->data);
        }
        return;
    }
    if (m->probed != NULL || m->waiting) {
        return; /* the probe's end, or the timer, comes here again */
    }
    if (n->state == DEV_ENDING) {
        return; /* it moves to other ports; its end comes here again */
    }
    if (n->state == DEV_WAITING) {
        if (n == &m->hub) {
            start_node(m, n);
        } else {
            ask(m, n, DEV_ASK_TOKEN);
        }
    } else {
        ask(m, n, n == &m->hub ? DEV_ASK_HUB : DEV_ASK_LEAF);
    }
}

static void on_timer(struct sf_timer *t)
{
    struct dev_mesh *m = SF_CONTAINER_OF(t, struct dev_mesh, timer);

    m->waiting = false;
    step(m);
}

/* A mesh whose directory was removed can be neither found nor stopped: it ends by itself. */
static void on_watch(struct sf_timer *t)
{
    struct dev_mesh *m = SF_CONTAINER_OF(t, struct dev_mesh, watch);

    if (!m->stopping && access(m->options->data_dir, F_OK) != 0) {
        (void)SF_RAISE_E(&m->error, SF_ABSENT, SHEAF_E_NO_MESH, "%s was removed while it ran",
                         m->options->data_dir);
        m->stopping = true;
        step(m);
        return;
    }
    sf_rt_timer_start(m->rt, &m->watch, WATCH_EVERY_NS);
}

/* --- asking for more leaves ------------------------------------------------------------------- */

static void ask_path(const char *data_dir, char ret[CLI_PATH_MAX + 16])
{
    (void)snprintf(ret, CLI_PATH_MAX + 16, "%s/dev.ask", data_dir);
}

/* One domain per line. False: nobody has asked. */
static bool take_asked(struct dev_mesh *m)
{
    char path[CLI_PATH_MAX + 16];
    struct sf_buf text = {0};
    struct sf_error err;
    bool asked = false;

    ask_path(m->options->data_dir, path);
    asked = sf_file_read(path, ASK_BYTES_MAX, &text, &err) == SF_OK;
    if (asked && sf_file_remove(path, &err) == SF_OK && sf_buf_cstr(&text) != NULL) {
        char *rest = (char *)text.data;

        for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
            if (line[0] != '\0' && add_leaf(m, line, NULL, &err) != SF_OK) {
                asked = false;
            }
        }
        m->deadline_ns = sf_rt_now_ns(m->rt) + UP_WITHIN_NS;
        write_file(m, /* running= */ true);
    }
    sf_buf_done(&text);
    return asked;
}

static void on_signal(int number, void *data)
{
    struct dev_mesh *m = data;

    if (number == SIGHUP && take_asked(m)) {
        step(m);
        return;
    }
    m->stopping = true;
    step(m);
}

enum sf_code dev_mesh_ask(const char *data_dir, int64_t pid, const char *const *leaves,
                          size_t count, struct sf_error *err)
{
    char path[CLI_PATH_MAX + 16];
    struct sf_buf text = {0};
    enum sf_code code = SF_OK;

    for (size_t i = 0; i < count; i++) {
        code = check_domain(leaves[i], err);
        if (code != SF_OK) {
            sf_buf_done(&text);
            return code;
        }
        sf_buf_printf(&text, "%s\n", leaves[i]);
    }
    ask_path(data_dir, path);
    code = sf_buf_check(&text, "leaves", err);
    code = code == SF_OK ? sf_file_write(path, sf_buf_view(&text), 0600, err) : code;
    sf_buf_done(&text);
    if (code == SF_OK && kill((pid_t)pid, SIGHUP) != 0) {
        code = SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NO_MESH, "process %d is gone", (int)pid);
    }
    return code;
}

/* --- running ---------------------------------------------------------------------------------- */

static enum sf_code lock_mesh(const char *data_dir, struct sf_lock *ret, struct sf_error *err)
{
    char path[CLI_PATH_MAX + 16];
    enum sf_code code = sf_dir_make(data_dir, 0700, err);

    (void)snprintf(path, sizeof(path), "%s/dev.lock", data_dir);
    code = code == SF_OK ? sf_lock_take(path, ret, err) : code;
    if (code == SF_CONFLICT) {
        return SF_RAISE_E(err, SF_CONFLICT, SHEAF_E_MESH_RUNNING, "in %s", data_dir);
    }
    return code;
}

bool dev_mesh_is_running(const char *data_dir)
{
    struct sf_lock lock = {0};
    struct sf_error err;
    enum sf_code code = lock_mesh(data_dir, &lock, &err);

    sf_lock_done(&lock);
    return code == SF_CONFLICT;
}

static enum sf_code run_loop(struct dev_mesh *m, struct sf_error *err)
{
    enum sf_code code = rt_uv_new(&m->uv, err);

    if (code != SF_OK) {
        return code;
    }
    m->rt = rt_uv_rt(m->uv);
    m->timer.fire = on_timer;
    code = rt_uv_catch_signals(m->uv, on_signal, m, err);
    if (code == SF_OK) {
        m->deadline_ns = sf_rt_now_ns(m->rt) + UP_WITHIN_NS;
        m->waiting = true;
        sf_rt_timer_start(m->rt, &m->timer, 0);
        m->watch.fire = on_watch;
        on_watch(&m->watch);
        rt_uv_run(m->uv);
    }
    for (size_t i = 0; i < m->leaf_count; i++) {
        sf_process_free(m->leaves[i].process);
        m->leaves[i].process = NULL;
        m->leaves[i].state = DEV_STOPPED;
    }
    sf_process_free(m->hub.process);
    m->hub.process = NULL;
    m->hub.state = DEV_STOPPED;
    write_file(m, /* running= */ false);
    rt_uv_free(m->uv);
    if (code == SF_OK && m->error.code != SF_OK) {
        *err = m->error;
        code = m->error.code;
    }
    return code;
}

enum sf_code dev_mesh_run(const struct dev_options *o, struct sf_error *err)
{
    struct dev_mesh *m = sf_calloc(1, sizeof(*m));
    enum sf_code code = SF_OK;

    if (m == NULL) {
        return SF_RAISE(err, SF_NOMEM, "mesh");
    }
    m->options = o;
    code = lock_mesh(o->data_dir, &m->lock, err);
    code = code == SF_OK ? plan(m, err) : code;
    code = code == SF_OK ? run_loop(m, err) : code;
    sf_lock_done(&m->lock);
    sf_free(m);
    return code;
}
