#include "cli/dev_file.h"

#include "common/sys/file.h"
#include "common/wire/json.h"

static void write_node(struct sf_json_writer *w, const struct dev_node *n)
{
    char url[DEV_URL_MAX];

    sf_json_object_begin(w);
    if (n->domain[0] != '\0') {
        sf_json_member_text(w, "domain", n->domain);
    }
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u", n->http);
    sf_json_member_text(w, "http", url);
    (void)snprintf(url, sizeof(url), "nats://127.0.0.1:%u", n->nats);
    sf_json_member_text(w, "nats", url);
    if (n->leafnode != 0) {
        sf_json_member_uint(w, "leafnode_port", n->leafnode);
    }
    sf_json_member_int(w, "pid", n->process != NULL ? sf_process_pid(n->process) : 0);
    sf_json_member_text(w, "data", n->data);
    sf_json_member_bool(w, "ready", n->state == DEV_READY);
    sf_json_object_end(w);
}

enum sf_code dev_file_write(const struct dev_file *f, struct sf_error *err)
{
    char path[CLI_PATH_MAX + 16];
    struct sf_buf text = {0};
    struct sf_json_writer w = {.out = &text, .pretty = true};
    enum sf_code code = SF_OK;

    sf_json_object_begin(&w);
    sf_json_member_text(&w, "apiVersion", "sheaf/v1");
    sf_json_member_text(&w, "kind", "DevMesh");
    sf_json_member_text(&w, "mesh", f->mesh);
    sf_json_member_text(&w, "hub_key", f->hub_key);
    sf_json_member_int(&w, "pid", f->pid);
    if (f->error != NULL) {
        sf_json_member_text(&w, "error", f->error);
    }
    sf_json_key(&w, "hub");
    write_node(&w, f->hub);
    sf_json_key(&w, "leaves");
    sf_json_array_begin(&w);
    for (size_t i = 0; i < f->leaf_count; i++) {
        write_node(&w, &f->leaves[i]);
    }
    sf_json_array_end(&w);
    sf_json_object_end(&w);
    sf_buf_byte(&text, '\n');
    (void)snprintf(path, sizeof(path), "%s/dev.json", f->data_dir);
    code = sf_buf_check(&text, "dev.json", err);
    code = code == SF_OK ? sf_file_write(path, sf_buf_view(&text), 0600, err) : code;
    sf_buf_done(&text);
    return code;
}
