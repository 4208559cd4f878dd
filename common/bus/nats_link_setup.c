/* What nats.c is told of a connection, and what it calls: its options and callbacks. */
#include "common/bus/nats_link.h"

#include <stdio.h>

#include "common/base/alloc.h"

enum {
    CONNECT_TIMEOUT_MS = 2000,
    RECONNECT_WAIT_MS = 250,
    RECONNECT_JITTER_MS = 100,
    PING_INTERVAL_MS = 20000,
    WRITE_DEADLINE_MS = 5000,
    PENDING_BYTES = 4 * 1024 * 1024, /* nats.c holds so much while it reconnects */
};

/* --- called by nats.c on its threads ---------------------------------------------------------- */

static size_t count_headers(natsMsg *msg, const char ***ret_names)
{
    int count = 0;

    *ret_names = NULL;
    if (natsMsgHeader_Keys(msg, ret_names, &count) != NATS_OK) {
        return 0;
    }
    return (size_t)count;
}

static struct nats_message *make_message(struct nats_tap *tap, natsMsg *msg)
{
    const char **names;
    size_t count = count_headers(msg, &names);
    struct nats_message *m = sf_alloc(sizeof(*m) + count * sizeof(m->headers[0]));

    if (m != NULL) {
        *m = (struct nats_message){.event = {.kind = NATS_EVENT_MESSAGE}, .tap = tap, .msg = msg};
        m->size = sizeof(*m) + 128 + count * 64 + (size_t)natsMsg_GetDataLength(msg);
        for (size_t i = 0; i < count; i++) {
            const char *value = "";

            (void)natsMsgHeader_Get(msg, names[i], &value);
            m->headers[m->header_count++] = (struct sf_bus_header){names[i], value};
        }
    }
    sf_free(names); /* The array is nats.c's; the names stay in the message. */
    return m;
}

void nats_tap_on_message(natsConnection *nc, natsSubscription *handle, natsMsg *msg, void *closure)
{
    struct nats_tap *tap = closure;
    struct nats_message *m = make_message(tap, msg);

    (void)nc;
    (void)handle;
    if (m == NULL) {
        nats_mailbox_count_drop(tap->mailbox);
        natsMsg_Destroy(msg);
    } else if (!nats_mailbox_put_message(tap->mailbox, m)) {
        nats_message_free(m);
    }
}

void nats_tap_on_complete(void *closure)
{
    struct nats_tap *tap = closure;

    nats_mailbox_put(tap->mailbox, &tap->ended);
}

static void on_disconnected(natsConnection *nc, void *closure)
{
    struct nats_link *l = closure;

    (void)nc;
    (void)pthread_mutex_lock(&l->lock);
    l->disconnects++;
    l->has_news = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

static void on_reconnected(natsConnection *nc, void *closure)
{
    struct nats_link *l = closure;

    (void)nc;
    (void)pthread_mutex_lock(&l->lock);
    l->has_news = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

static void on_closed(natsConnection *nc, void *closure)
{
    struct nats_link *l = closure;

    (void)nc;
    (void)pthread_mutex_lock(&l->lock);
    l->is_lost = true;
    (void)pthread_cond_signal(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

void nats_link_note(struct nats_link *l, natsStatus status, const char *text)
{
    (void)pthread_mutex_lock(&l->lock);
    (void)snprintf(l->last_error, sizeof(l->last_error), "%s%s%s", natsStatus_GetText(status),
                   text == NULL || *text == '\0' ? "" : ": ", text == NULL ? "" : text);
    (void)pthread_mutex_unlock(&l->lock);
}

static void on_error(natsConnection *nc, natsSubscription *handle, natsStatus status, void *closure)
{
    struct nats_link *l = closure;
    const char *text = NULL;

    (void)handle;
    if (status == NATS_SLOW_CONSUMER) {
        nats_mailbox_count_drop(l->mailbox);
    }
    (void)natsConnection_GetLastError(nc, &text);
    nats_link_note(l, status, text);
}

/* nats.c frees what these two return: sf_alloc() gives memory of the C library, as it expects. */
static natsStatus on_jwt(char **ret_jwt, char **ret_error, void *closure)
{
    struct nats_link *l = closure;

    (void)ret_error;
    (void)pthread_mutex_lock(&l->lock);
    *ret_jwt = sf_strdup(l->jwt);
    (void)pthread_mutex_unlock(&l->lock);
    return *ret_jwt == NULL ? NATS_NO_MEMORY : NATS_OK;
}

static natsStatus on_sign(char **ret_error, unsigned char **ret_signature, int *ret_size,
                          const char *nonce, void *closure)
{
    struct nats_link *l = closure;
    struct sf_signature signature;

    (void)ret_error;
    if (sf_sign(&l->user, NULL, sf_slice_text(nonce), &signature, NULL) != SF_OK) {
        return NATS_ERR;
    }
    *ret_signature = sf_alloc(sizeof(signature.bytes));
    if (*ret_signature == NULL) {
        return NATS_NO_MEMORY;
    }
    memcpy(*ret_signature, signature.bytes, sizeof(signature.bytes));
    *ret_size = (int)sizeof(signature.bytes);
    return NATS_OK;
}

/* --- options ---------------------------------------------------------------------------------- */

static natsStatus set_credentials(struct nats_link *l)
{
    if (l->user.secret == NULL) {
        return NATS_OK;
    }
    if (l->jwt != NULL) {
        return natsOptions_SetUserCredentialsCallbacks(l->options, on_jwt, l, on_sign, l);
    }
    return natsOptions_SetNKey(l->options, l->nkey, on_sign, l);
}

static natsStatus set_callbacks(struct nats_link *l)
{
    natsOptions *o = l->options;
    natsStatus s = natsOptions_SetErrorHandler(o, on_error, l);

    if (s == NATS_OK) {
        s = natsOptions_SetDisconnectedCB(o, on_disconnected, l);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetReconnectedCB(o, on_reconnected, l);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetClosedCB(o, on_closed, l);
    }
    return s == NATS_OK ? set_credentials(l) : s;
}

static natsStatus set_limits(natsOptions *o, const struct nats_mailbox *mailbox)
{
    natsStatus s = natsOptions_SetTimeout(o, CONNECT_TIMEOUT_MS);

    if (s == NATS_OK) {
        s = natsOptions_SetMaxReconnect(o, -1);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetReconnectWait(o, RECONNECT_WAIT_MS);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetReconnectJitter(o, RECONNECT_JITTER_MS, RECONNECT_JITTER_MS);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetReconnectBufSize(o, PENDING_BYTES);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetPingInterval(o, PING_INTERVAL_MS);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetMaxPingsOut(o, 2);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetWriteDeadline(o, WRITE_DEADLINE_MS);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetMaxPendingMsgs(o, (int)mailbox->messages_max);
    }
    return s;
}

natsStatus nats_link_make_options(struct nats_link *l, const struct sf_bus_nats_options *o)
{
    natsStatus s = natsOptions_Create(&l->options);

    if (s == NATS_OK) {
        /* nats.c only reads them, and copies; its type has no const. */
        union {
            const char *const *from;
            const char **to;
        } urls = {.from = o->urls};

        s = natsOptions_SetServers(l->options, urls.to, (int)o->url_count);
    }
    if (s == NATS_OK) {
        s = natsOptions_SetName(l->options, o->name);
    }
    if (s == NATS_OK) {
        s = natsOptions_UseGlobalMessageDelivery(l->options, true);
    }
    if (s == NATS_OK) {
        s = set_limits(l->options, l->mailbox);
    }
    return s == NATS_OK ? set_callbacks(l) : s;
}
