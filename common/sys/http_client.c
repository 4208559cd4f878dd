#include "common/sys/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "common/base/alloc.h"

enum {
    ANSWER_BYTES_MAX = 16 * 1024 * 1024,
    HEADER_BYTES_MAX = 64 * 1024,
    CONNECT_MS_MAX = 5000,
    IDLE_MS_MAX = 30000,
};

struct sf_http_client {
    CURL *easy;
    char message[CURL_ERROR_SIZE];
};

/* One call in progress. */
struct transfer {
    CURL *easy;
    const struct sf_http_call *call;
    struct sf_http_answer *answer;
    struct curl_slist *headers;
    enum sf_code failed; /* what a callback of ours ended the call with */
};

static CURLcode global_result;

static void global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

enum sf_code sf_http_client_new(struct sf_http_client **ret, struct sf_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct sf_http_client *c;

    (void)pthread_once(&once, global_init);
    if (global_result != CURLE_OK) {
        return SF_RAISE(err, SF_UNAVAILABLE, "HTTP client: %s", curl_easy_strerror(global_result));
    }
    c = sf_calloc(1, sizeof(*c));
    if (c != NULL) {
        c->easy = curl_easy_init();
    }
    if (c == NULL || c->easy == NULL) {
        sf_free(c);
        return SF_RAISE(err, SF_NOMEM, "no memory for the HTTP client");
    }
    *ret = c;
    return SF_OK;
}

void sf_http_client_free(struct sf_http_client *c)
{
    if (c != NULL) {
        curl_easy_cleanup(c->easy);
        sf_free(c);
    }
}

/* The answer. */

void sf_http_answer_done(struct sf_http_answer *a)
{
    sf_buf_done(&a->headers);
    sf_buf_done(&a->body);
    a->status = 0;
}

/* Kept as name, NUL, value, NUL, and so on. */
const char *sf_http_answer_header(const struct sf_http_answer *a, const char *name)
{
    const char *at = (const char *)a->headers.data;
    const char *end = at + a->headers.size;

    while (at < end) {
        const char *value = at + strlen(at) + 1;

        if (strcasecmp(at, name) == 0) {
            return value;
        }
        at = value + strlen(value) + 1;
    }
    return NULL;
}

static enum sf_code take_header(struct sf_buf *headers, const char *line, size_t size)
{
    const char *colon = memchr(line, ':', size);
    const char *value;

    if (size >= 5 && memcmp(line, "HTTP/", 5) == 0) {
        sf_buf_clear(headers); /* A status line: what was before it belonged to a 100. */
        return SF_OK;
    }
    if (colon == NULL || memchr(line, '\0', size) != NULL) {
        return SF_OK; /* the empty line at the end, or nothing anyone can ask for */
    }
    value = colon + 1;
    while (size > 0 &&
           (line[size - 1] == '\r' || line[size - 1] == '\n' || line[size - 1] == ' ')) {
        size--;
    }
    while (value < line + size && *value == ' ') {
        value++;
    }
    sf_buf_append(headers, line, (size_t)(colon - line));
    sf_buf_byte(headers, 0);
    if (value < line + size) {
        sf_buf_append(headers, value, (size_t)(line + size - value));
    }
    sf_buf_byte(headers, 0);
    return headers->failed;
}

static size_t on_header(char *line, size_t one, size_t size, void *data)
{
    struct transfer *t = data;

    (void)one;
    t->failed = take_header(&t->answer->headers, line, size);
    return t->failed == SF_OK ? size : 0;
}

static size_t on_bytes(char *bytes, size_t one, size_t size, void *data)
{
    struct transfer *t = data;
    long status = 0;

    (void)one;
    (void)curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    t->answer->status = (unsigned)status;
    if (t->call->on_body != NULL && status >= 200 && status < 300) {
        t->failed = t->call->on_body(t->call->data, sf_slice_of(bytes, size));
    } else {
        sf_buf_append(&t->answer->body, bytes, size);
        t->failed = t->answer->body.failed;
    }
    return t->failed == SF_OK ? size : 0;
}

static size_t on_send(char *to, size_t one, size_t capacity, void *data)
{
    struct transfer *t = data;
    size_t size = 0;

    t->failed = t->call->read_body(t->call->data, (uint8_t *)to, one * capacity, &size);
    return t->failed == SF_OK ? size : CURL_READFUNC_ABORT;
}

/* The call. */

#define OPTION(name, value)                                                                        \
    do {                                                                                           \
        if (r == CURLE_OK) {                                                                       \
            r = curl_easy_setopt(easy, (name), (value));                                           \
        }                                                                                          \
    } while (0)

static bool header_add(struct transfer *t, const char *name, const char *value)
{
    struct sf_buf line = {0};
    struct curl_slist *longer = NULL;
    const char *text;

    /* A semicolon is curl's way to send a header with an empty value. */
    sf_buf_printf(&line, *value == '\0' ? "%s;%s" : "%s: %s", name, value);
    text = sf_buf_cstr(&line);
    if (text != NULL) {
        longer = curl_slist_append(t->headers, text);
    }
    sf_buf_done(&line);
    if (longer != NULL) {
        t->headers = longer;
    }
    return longer != NULL;
}

static bool headers_build(struct transfer *t)
{
    bool typed = false;
    struct curl_slist *longer;

    for (size_t i = 0; i < t->call->header_count; i++) {
        const struct sf_http_header *h = &t->call->headers[i];

        typed = typed || strcasecmp(h->name, "Content-Type") == 0;
        if (!header_add(t, h->name, h->value)) {
            return false;
        }
    }
    if (!typed) { /* Else curl says that every body is a form. */
        longer = curl_slist_append(t->headers, "Content-Type:");
        t->headers = longer == NULL ? t->headers : longer;
        return longer != NULL;
    }
    return true;
}

static CURLcode set_body(CURL *easy, const struct transfer *t)
{
    const struct sf_http_call *call = t->call;
    CURLcode r = CURLE_OK;

    if (call->read_body != NULL) {
        OPTION(CURLOPT_UPLOAD, 1L);
        OPTION(CURLOPT_READFUNCTION, on_send);
        OPTION(CURLOPT_READDATA, t);
    } else if (call->body.size > 0 || strcmp(call->method, "POST") == 0 ||
               strcmp(call->method, "PUT") == 0) {
        OPTION(CURLOPT_POSTFIELDS, call->body.size > 0 ? (const char *)call->body.data : "");
        OPTION(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
    } else if (strcmp(call->method, "HEAD") == 0) {
        OPTION(CURLOPT_NOBODY, 1L);
    }
    OPTION(CURLOPT_CUSTOMREQUEST, call->method);
    return r;
}

static CURLcode set_limits(CURL *easy, const struct sf_http_call *call)
{
    uint64_t connect_ms = call->connect_ms_max == 0 ? CONNECT_MS_MAX : call->connect_ms_max;
    uint64_t idle_ms = call->idle_ms_max == 0 ? IDLE_MS_MAX : call->idle_ms_max;
    CURLcode r = CURLE_OK;

    OPTION(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    OPTION(CURLOPT_TIMEOUT_MS, (long)call->total_ms_max);
    OPTION(CURLOPT_LOW_SPEED_LIMIT, 1L); /* bytes in a second */
    OPTION(CURLOPT_LOW_SPEED_TIME, (long)((idle_ms + 999) / 1000));
    OPTION(CURLOPT_PROTOCOLS_STR, "http,https");
    OPTION(CURLOPT_PROXY, "");
    OPTION(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    OPTION(CURLOPT_NOSIGNAL, 1L);
    return r;
}

static CURLcode set_all(CURL *easy, struct transfer *t, char *message)
{
    CURLcode r = set_limits(easy, t->call);

    OPTION(CURLOPT_URL, t->call->url);
    OPTION(CURLOPT_ERRORBUFFER, message);
    OPTION(CURLOPT_HTTPHEADER, t->headers);
    OPTION(CURLOPT_HEADERFUNCTION, on_header);
    OPTION(CURLOPT_HEADERDATA, t);
    OPTION(CURLOPT_WRITEFUNCTION, on_bytes);
    OPTION(CURLOPT_WRITEDATA, t);
    if (t->call->ca_path != NULL) {
        OPTION(CURLOPT_CAINFO, t->call->ca_path);
    }
    return r == CURLE_OK ? set_body(easy, t) : r;
}

static enum sf_code code_of(CURLcode result)
{
    switch ((int)result) {
    case CURLE_OK:
        return SF_OK;
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
        return SF_INVALID;
    case CURLE_OUT_OF_MEMORY:
        return SF_NOMEM;
    case CURLE_OPERATION_TIMEDOUT:
        return SF_TIMEOUT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CONNECT_ERROR:
        return SF_DENIED;
    default:
        return SF_UNAVAILABLE;
    }
}

/* Whether there was a connection on which the request could be sent. */
static bool was_sent(const struct transfer *t)
{
    curl_off_t us = 0;

    return curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &us) == CURLE_OK && us > 0;
}

/* Names scheme, host and port alone: paths and queries hold keys. */
static enum sf_code call_failed(const struct transfer *t, CURLcode result, const char *message,
                                struct sf_error *err)
{
    const char *url = t->call->url;
    const char *host = strstr(url, "://");
    int size = (int)strlen(url);

    if (t->failed == SF_BUSY && t->answer->body.failed == SF_BUSY) {
        return SF_RAISE(err, SF_BUSY, "the answer is larger than %zu bytes",
                        t->answer->body.size_max);
    }
    if (t->failed != SF_OK) {
        return SF_RAISE(err, t->failed, "the transfer was ended: %s", sf_code_text(t->failed));
    }
    if (host != NULL) {
        size = (int)(host - url) + 3 + (int)strcspn(host + 3, "/?#");
    }
    if (result == CURLE_OPERATION_TIMEDOUT && !was_sent(t)) {
        return SF_RAISE(err, SF_UNAVAILABLE, "%.*s: no connection in time", size, url);
    }
    if (result == CURLE_OPERATION_TIMEDOUT) {
        return SF_RAISE(err, SF_TIMEOUT, "%.*s: no answer in time", size, url);
    }
    return SF_RAISE(err, code_of(result), "%.*s: %s", size, url,
                    *message != '\0' ? message : curl_easy_strerror(result));
}

enum sf_code sf_http_client_call(struct sf_http_client *c, const struct sf_http_call *call,
                                 struct sf_http_answer *ret, struct sf_error *err)
{
    struct transfer t = {.easy = c->easy, .call = call, .answer = ret};
    CURLcode result = CURLE_OUT_OF_MEMORY;
    long status = 0;

    ret->status = 0;
    sf_buf_clear(&ret->headers);
    sf_buf_clear(&ret->body);
    ret->headers.size_max = HEADER_BYTES_MAX;
    ret->body.size_max = call->answer_bytes_max == 0 ? ANSWER_BYTES_MAX : call->answer_bytes_max;
    curl_easy_reset(c->easy); /* options, not the connection */
    c->message[0] = '\0';
    if (headers_build(&t)) {
        result = set_all(c->easy, &t, c->message);
    }
    if (result == CURLE_OK) {
        result = curl_easy_perform(c->easy);
    }
    curl_slist_free_all(t.headers);
    if (result != CURLE_OK) {
        return call_failed(&t, result, c->message, err);
    }
    (void)curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
    ret->status = (unsigned)status;
    return SF_OK;
}
