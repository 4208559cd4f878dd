#include "tests/lib/raw_http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

/* Until the server closes; a server that does neither that nor send ends the test. */
static void read_all(int fd, char *ret, size_t size)
{
    size_t n = 0;
    ssize_t got;

    while (n < size - 1 && (got = recv(fd, ret + n, size - 1 - n, 0)) != 0) {
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            (void)fprintf(stderr, "no more of the answer within %d s: %.*s\n", RAW_HTTP_WAIT_S,
                          (int)n, ret);
            abort();
        }
        if (got < 0) {
            break;
        }
        n += (size_t)got;
    }
    ret[n] = '\0';
}

static void join_chunks(struct raw_http_answer *a)
{
    const char *from = a->text;
    char *to = a->text;
    unsigned long n;
    char *end;

    while ((n = strtoul(from, &end, 16)) > 0 && strncmp(end, "\r\n", 2) == 0 &&
           strlen(end + 2) >= n + 2) {
        memmove(to, end + 2, n);
        to += n;
        from = end + 2 + n + 2;
    }
    a->is_complete = strcmp(from, "0\r\n\r\n") == 0;
    *to = '\0';
}

static void take_answer(struct raw_http_answer *a)
{
    char *body = strstr(a->head, "\r\n\r\n");
    const char *length;

    if (body == NULL || sscanf(a->head, "HTTP/1.1 %u ", &a->status) != 1) {
        a->status = 0;
        return;
    }
    (void)snprintf(a->text, sizeof(a->text), "%s", body + 4);
    body[2] = '\0';
    length = strcasestr(a->head, "\r\nContent-Length: ");
    a->is_complete = length != NULL && strtoul(length + 18, NULL, 10) == strlen(a->text);
    if (strcasestr(a->head, "\r\nTransfer-Encoding: chunked") != NULL) {
        join_chunks(a);
    }
}

void raw_http_call(uint16_t port, const char *method, const char *path, const char *headers,
                   struct sf_slice body, struct raw_http_answer *ret)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    const struct timeval patience = {.tv_sec = RAW_HTTP_WAIT_S};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char *text = ret->head;
    int n = snprintf(text, RAW_HTTP_MAX,
                     "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: "
                     "%zu\r\n%s\r\n",
                     method, path, body.size, headers);
    struct iovec parts[] = {
        {.iov_base = text, .iov_len = (size_t)n},
        {.iov_base = (void *)(uintptr_t)body.data, .iov_len = body.size},
    };
    const struct msghdr m = {.msg_iov = parts, .msg_iovlen = body.size == 0 ? 1 : 2};

    ret->status = 0;
    ret->is_complete = false;
    ret->text[0] = '\0';
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
        sendmsg(fd, &m, MSG_NOSIGNAL) == n + (ssize_t)body.size) {
        read_all(fd, text, RAW_HTTP_MAX);
        take_answer(ret);
    }
    (void)close(fd);
}

bool raw_http_is_problem(const struct raw_http_answer *a)
{
    static const char begin[] = "{\"type\":\"about:blank\",\"title\":\"";
    const size_t size = strlen(a->text);

    return a->status == 0 || !a->is_complete || size == sizeof(a->text) - 1 ||
           (strncmp(a->text, begin, sizeof(begin) - 1) == 0 && a->text[size - 1] == '}' &&
            strstr(a->text, "\"code\":\"SHEAF-E0") != NULL &&
            strstr(a->head, "application/problem+json") != NULL);
}
