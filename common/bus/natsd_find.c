/* Which nats-server: where it is and whether it is new enough. */
#include "common/bus/natsd_find.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/errors.h"

enum {
    LEVELS_UP = 4, /* from build/leaf/ to the top of a checkout, and one more */
    VERSION_ASKED_MAX = 3,
    VERSION_WAIT_MS = 5000,
};

static bool is_program(const char *path)
{
    return access(path, X_OK) == 0;
}

static enum sf_code take(const char *path, char *ret, size_t size, struct sf_error *err)
{
    if (strlen(path) >= size) {
        return SF_RAISE(err, SF_INVALID, "the path of nats-server is too long");
    }
    memcpy(ret, path, strlen(path) + 1);
    return SF_OK;
}

/* Beside this program: DIR/.deps/bin, DIR/bin and DIR itself, for its directory and those above. */
static bool find_beside(char *ret, size_t size)
{
    static const char *const places[] = {".deps/bin/", "bin/", ""};
    char dir[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", dir, sizeof(dir) - 1);

    if (n <= 0) {
        return false;
    }
    dir[n] = '\0';
    for (int level = 0; level <= LEVELS_UP; level++) {
        char *slash = strrchr(dir, '/');

        if (slash == NULL) {
            return false;
        }
        *slash = '\0';
        for (size_t i = 0; i < SF_COUNT(places); i++) {
            int m = snprintf(ret, size, "%s/%snats-server", dir, places[i]);

            if (m > 0 && (size_t)m < size && is_program(ret)) {
                return true;
            }
        }
    }
    return false;
}

static bool find_in_path(char *ret, size_t size)
{
    const char *at = getenv("PATH");

    while (at != NULL && *at != '\0') {
        size_t n = strcspn(at, ":");
        int m = snprintf(ret, size, "%.*s/nats-server", (int)n, at);

        if (n != 0 && m > 0 && (size_t)m < size && is_program(ret)) {
            return true;
        }
        at += n + (at[n] == ':');
    }
    return false;
}

enum sf_code sf_natsd_find(const char *given, char *ret, size_t size, struct sf_error *err)
{
    const char *named = given != NULL ? given : getenv("SHEAF_NATS_SERVER");
    char found[PATH_MAX];

    if (named != NULL && *named != '\0') {
        if (!is_program(named)) {
            return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_NATS_MISSING,
                              "nats-server was not found at '%s'", named);
        }
        return take(named, ret, size, err);
    }
    if (find_beside(found, sizeof(found)) || find_in_path(found, sizeof(found))) {
        return take(found, ret, size, err);
    }
    return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_NATS_MISSING,
                      "nats-server was not found: not in .deps/bin or bin beside this program, "
                      "not in PATH, and SHEAF_NATS_SERVER is not set");
}

/* The first thing of the form 1.2.3 in @text; what follows it in *ret_rest. */
static bool parse_version(const char *text, unsigned ret[3], const char **ret_rest)
{
    for (const char *at = text; *at != '\0'; at++) {
        int used = 0;

        if (*at >= '0' && *at <= '9') {
            if (sscanf(at, "%3u.%3u.%3u%n", &ret[0], &ret[1], &ret[2], &used) != 3) {
                return false;
            }
            *ret_rest = at + used;
            return true;
        }
    }
    return false;
}

enum sf_code sf_natsd_check_version(const char *text, struct sf_error *err)
{
    unsigned have[3];
    unsigned want[3];
    const char *rest;
    const char *ignored;
    int order = 0;

    if (!parse_version(text, have, &rest)) {
        return SF_RAISE(err, SF_INVALID, "nats-server does not tell its version");
    }
    (void)parse_version(SF_NATSD_VERSION_MIN, want, &ignored);
    for (size_t i = 0; i < 3 && order == 0; i++) {
        order = (have[i] > want[i]) - (have[i] < want[i]);
    }
    if (order < 0 || (order == 0 && *rest == '-')) { /* 2.15.1-rc.1 is older than 2.15.1 */
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NATS_TOO_OLD,
                          "nats-server is version %u.%u.%u%s; version %s or newer is needed",
                          have[0], have[1], have[2], order == 0 ? " (not final)" : "",
                          SF_NATSD_VERSION_MIN);
    }
    return SF_OK;
}

/* Reads until the end of @fd, at most @size - 1 bytes; false when it takes too long. */
static bool read_all(int fd, char *ret, size_t size)
{
    size_t used = 0;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        ssize_t n;

        if (poll(&p, 1, VERSION_WAIT_MS) <= 0) {
            return false;
        }
        n = read(fd, ret + used, size - 1 - used);
        if (n <= 0 || (used += (size_t)n) == size - 1) {
            ret[used] = '\0';
            return n >= 0;
        }
    }
}

static enum sf_code spawn_version(const char *binary, int write_fd, pid_t *ret)
{
    char name[] = "nats-server";
    char option[] = "--version";
    char *argv[] = {name, option, NULL};
    posix_spawn_file_actions_t actions;
    int r = posix_spawn_file_actions_init(&actions);

    if (r == 0) {
        r = posix_spawn_file_actions_adddup2(&actions, write_fd, STDOUT_FILENO);
    }
    if (r == 0) {
        r = posix_spawn(ret, binary, &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return r == 0 ? SF_OK : SF_UNAVAILABLE;
}

/* *ret_killed: somebody ended it from outside, which says nothing about the program. */
static enum sf_code ask_once(const char *binary, char *ret, size_t size, bool *ret_killed,
                             struct sf_error *err)
{
    int ends[2];
    int status = 0;
    pid_t pid = 0;
    bool ok = false;

    *ret_killed = false;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        return SF_RAISE(err, SF_UNAVAILABLE, "pipe: %s", strerror(errno));
    }
    if (spawn_version(binary, ends[1], &pid) == SF_OK) {
        (void)close(ends[1]);
        ok = read_all(ends[0], ret, size);
        if (!ok) {
            (void)kill(pid, SIGKILL);
        }
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        *ret_killed = ok && WIFSIGNALED(status);
    } else {
        (void)close(ends[1]);
    }
    (void)close(ends[0]);
    if (!ok) {
        return SF_RAISE_E(err, SF_UNAVAILABLE, SHEAF_E_NATS_MISSING,
                          "'%s --version' does not answer", binary);
    }
    return SF_OK;
}

enum sf_code sf_natsd_ask_version(const char *binary, char *ret, size_t size, struct sf_error *err)
{
    bool killed = true;
    enum sf_code code = SF_OK;

    for (int i = 0; i < VERSION_ASKED_MAX && killed; i++) {
        code = ask_once(binary, ret, size, &killed, err);
    }
    return code;
}

bool sf_natsd_greets(uint16_t port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct timeval wait = {.tv_sec = 1};
    char text[5];
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool greets = false;

    if (fd < 0) {
        return false;
    }
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)) == 0 &&
        connect(fd, (struct sockaddr *)&at, sizeof(at)) == 0) {
        greets = recv(fd, text, sizeof(text), MSG_WAITALL) == (ssize_t)sizeof(text) &&
                 memcmp(text, "INFO ", sizeof(text)) == 0;
    }
    (void)close(fd);
    return greets;
}
