#include "tests/lib/nats_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/sys/file.h"
#include "tests/lib/cmocka.h"

enum {
    START_MS = 30000,
    LOOK_MS = 5,
    PORT_FIRST = 16000,
    PORT_BLOCK = 40,
    PORT_BLOCKS = 400,
};

/* The first port of a block that no other running test takes: its name in the kernel is the lock,
 * as in tests/lib/ports.py. */
static uint16_t lock_block(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* held until the test ends */

    assert_true(fd >= 0);
    for (unsigned i = 0; i < PORT_BLOCKS; i++) {
        const unsigned block = ((unsigned)getpid() + i) % PORT_BLOCKS;
        struct sockaddr_un name = {.sun_family = AF_UNIX};
        const int n =
            snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "sheaf-test-ports-%u", block);
        const size_t size = offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n;

        if (bind(fd, (struct sockaddr *)&name, (socklen_t)size) == 0) {
            return (uint16_t)(PORT_FIRST + block * PORT_BLOCK);
        }
    }
    fail_msg("no block of ports is free");
    return 0;
}

uint16_t nats_server_port(void)
{
    static uint16_t first;
    static uint16_t taken;

    if (first == 0) {
        first = lock_block();
    }
    while (taken < PORT_BLOCK) {
        const uint16_t port = (uint16_t)(first + taken++);

        if (sf_port_is_free(port)) {
            return port;
        }
    }
    fail_msg("all ports of the block are taken");
    return 0;
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
