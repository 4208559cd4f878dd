#include "cli/dev_node.h"

#include <string.h>
#include <unistd.h>

#include "common/sys/file.h"
#include "proto/errors.h"

enum { ARGV_MAX = 24, TEXT_MAX = 64, LOG_BYTES_MAX = 64 * 1024 * 1024, WORDS_LINES = 20 };

enum sf_code dev_node_program(const char *name, char ret[CLI_PATH_MAX], struct sf_error *err)
{

    char self[CLI_PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (n <= 0) {
        return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_FILE_UNREADABLE, "/proc/self/exe");
    }
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    for (size_t i = 0; i < 3; i++) {
        char path[CLI_PATH_MAX];
        int size = i == 0   ? snprintf(path, sizeof(path), "%s/%s", self, name)
                   : i == 1 ? snprintf(path, sizeof(path), "%s/../hub/%s", self, name)
                            : snprintf(path, sizeof(path), "%s/../leaf/%s", self, name);

        if (size > 0 && (size_t)size < sizeof(path) && access(path, X_OK) == 0) {
            memcpy(ret, path, (size_t)size + 1);
            return SF_OK;
        }
    }
    return SF_RAISE_E(err, SF_ABSENT, SHEAF_E_FILE_UNREADABLE,
                      "%s is neither in %s nor in ../hub or ../leaf of it", name, self);
}

static enum sf_code make_directories(struct dev_node *n, struct sf_error *err)
{
    char directory[CLI_PATH_MAX + 16];
    enum sf_code code = SF_OK;

    (void)snprintf(directory, sizeof(directory), "%s/log", n->data);
    code = sf_dir_make(directory, 0700, err);
    (void)snprintf(n->log, sizeof(n->log), "%s/%s.log", directory,
                   n->domain[0] == '\0' ? "sheaf-hub" : "sheaf-leaf");
    return code;
}

enum sf_code dev_node_start(struct dev_node *n, struct rt_uv *uv, uint16_t hub_http,
                            const struct dev_node_callbacks *callbacks, struct sf_error *err)
{
    bool is_hub = n->domain[0] == '\0';
    char program[CLI_PATH_MAX];
    char http[TEXT_MAX];
    char nats[TEXT_MAX];
    char leafnode[TEXT_MAX];
    char hub[TEXT_MAX];
    const char *argv[ARGV_MAX] = {program, "--data", n->data, "--http", http, "--nats-port", nats};
    size_t argc = 7;
    enum sf_code code = dev_node_program(is_hub ? "sheaf-hub" : "sheaf-leaf", program, err);

    code = code == SF_OK ? make_directories(n, err) : code;
    if (code != SF_OK) {
        return code;
    }
    (void)snprintf(http, sizeof(http), "127.0.0.1:%u", n->http);
    (void)snprintf(nats, sizeof(nats), "%u", n->nats);
    if (is_hub) {
        (void)snprintf(leafnode, sizeof(leafnode), "%u", n->leafnode);
        argv[argc++] = "--leafnode-port";
        argv[argc++] = leafnode;
    } else {
        (void)snprintf(hub, sizeof(hub), "http://127.0.0.1:%u", hub_http);
        argv[argc++] = "--domain";
        argv[argc++] = n->domain;
        argv[argc++] = "--hub";
        argv[argc++] = hub;
        if (sf_file_exists(n->token_path)) {
            argv[argc++] = "--join-token-file";
            argv[argc++] = n->token_path;
        }
    }
    code = sf_process_new(uv,
                          &(struct sf_process_options){.argv = argv,
                                                       .log_path = n->log,
                                                       .on_up = callbacks->on_up,
                                                       .on_down = callbacks->on_down,
                                                       .data = callbacks->data},
                          &n->process, err);
    if (code == SF_OK) {
        n->state = DEV_STARTING;
        sf_process_start(n->process);
    }
    return code;
}

/* Takes the last line off @text. */
static struct sf_slice take_last_line(struct sf_slice *text)
{
    size_t start = text->size;
    struct sf_slice line;

    while (start > 0 && text->data[start - 1] != '\n') {
        start--;
    }
    line = sf_slice_of(text->data + start, text->size - start);
    text->size = start > 0 ? start - 1 : 0;
    return line;
}

/* The error a program of ours ended with, or else the last line that is not blank. */
static struct sf_slice last_words(struct sf_slice text)
{
    struct sf_slice last = {0};

    for (unsigned i = 0; i < WORDS_LINES && text.size > 0; i++) {
        struct sf_slice line = take_last_line(&text);

        if (memmem(line.data, line.size, "SHEAF-E", 7) != NULL) {
            return line;
        }
        last = last.size == 0 ? line : last;
    }
    return last;
}

void dev_node_last_words(const struct dev_node *n, char *ret, size_t size)
{
    struct sf_buf text = {0};
    struct sf_error err;

    ret[0] = '\0';
    if (sf_file_read(n->log, LOG_BYTES_MAX, &text, &err) == SF_OK) {
        struct sf_slice line = last_words(sf_buf_view(&text));

        (void)snprintf(ret, size, "%.*s", SF_SLICE_ARG(line));
    }
    sf_buf_done(&text);
}
