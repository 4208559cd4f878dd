#include "tests/lib/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/sys/crypto.h"
#include "common/sys/file.h"
#include "tests/lib/cmocka.h"

enum { START_MS = 10000, LOOK_MS = 5 };

uint16_t nats_server_port(void)
{
    static uint16_t last;
    uint16_t port = 0;
    struct sf_error err = {0};

    if (last == 0 || last > 31000) {
        last = (uint16_t)(10000 + sf_random_below(20000)); /* Tests run side by side. */
    }
    if (sf_port_find((uint16_t)(last + 1), &port, &err) != SF_OK) {
        fail_msg("no free port: %s", err.text);
    }
    last = port;
    return port;
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Whether a server says "INFO ..." at the port within a moment. */
static bool greets(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval wait = {.tv_sec = 1};
    char text[5];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool ok;

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
    ok = connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0 &&
         recv(fd, text, sizeof(text), MSG_WAITALL) == (ssize_t)sizeof(text) &&
         memcmp(text, "INFO ", sizeof(text)) == 0;
    (void)close(fd);
    return ok;
}

static void become_server(const struct nats_server *s, pid_t parent)
{
    const char *binary = getenv("SHEAF_NATS_SERVER");
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
        _exit(126);
    }
    (void)dup2(null, STDIN_FILENO);
    (void)dup2(null, STDOUT_FILENO);
    (void)dup2(null, STDERR_FILENO);
    (void)execl(binary, binary, "-c", s->config_path, (char *)NULL);
    _exit(127);
}

static void print_log(const struct nats_server *s)
{
    struct sf_buf text = {0};

    if (s->log_path[0] != '\0' && sf_file_read(s->log_path, 1 << 20, &text, NULL) == SF_OK) {
        size_t from = text.size > 4000 ? text.size - 4000 : 0;

        print_error("%s:\n%.*s\n", s->log_path, (int)(text.size - from), text.data + from);
    }
    sf_buf_done(&text);
}

void nats_server_start(struct nats_server *s)
{
    uint64_t deadline = now_ms() + START_MS;
    pid_t parent = getpid();

    assert_non_null(getenv("SHEAF_NATS_SERVER"));
    s->pid = fork();
    assert_true(s->pid >= 0);
    if (s->pid == 0) {
        become_server(s, parent);
    }
    while (!greets(s->port)) {
        int status;

        if (waitpid(s->pid, &status, WNOHANG) == s->pid || now_ms() > deadline) {
            print_log(s);
            fail_msg("nats-server with %s did not come up on port %u", s->config_path, s->port);
        }
        (void)poll(NULL, 0, LOOK_MS);
    }
}

void nats_server_signal(const struct nats_server *s, int number)
{
    assert_true(s->pid > 0);
    assert_int_equal(kill(s->pid, number), 0);
}

static void end(struct nats_server *s, int number)
{
    if (s->pid > 0) {
        (void)kill(s->pid, number);
        (void)waitpid(s->pid, NULL, 0);
        s->pid = 0;
    }
}

void nats_server_kill(struct nats_server *s)
{
    end(s, SIGKILL);
}

void nats_server_stop(struct nats_server *s)
{
    end(s, SIGTERM);
}
