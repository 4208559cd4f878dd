#include "cli/policy_files.h"

#include <string.h>

#include "common/sys/file.h"
#include "proto/errors.h"

enum { FILE_BYTES_MAX = 1024 * 1024 };

/* The last part of an absolute path; of another one all but "./". */
static const char *name_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (path[0] == '/' && slash != NULL) {
        return slash + 1;
    }
    return strncmp(path, "./", 2) == 0 ? path + 2 : path;
}

static enum sf_code read_one(struct cli *cli, const char *path, struct policy_files *f,
                             struct sf_error *err)
{
    struct policy_file *file = &f->files[f->count++];
    SF_CLEANUP(sf_buf_done) struct sf_buf shown = {0};
    SF_CLEANUP(sf_issues_done) struct sf_issues issues = {0};
    enum sf_code code;

    *file = (struct policy_file){.path = path, .name = name_of(path)};
    sf_issues_init(&issues, file->name, sf_slice_text(NULL));
    code = sf_file_read(path, FILE_BYTES_MAX, &file->text, err);
    if (code != SF_OK) {
        err->number = SHEAF_E_FILE_UNREADABLE;
        return code;
    }
    issues.source = sf_buf_view(&file->text);
    code = sf_policy_set_add(f->set, &issues, 1, err);
    sf_issues_render(&issues, &shown);
    if (sf_buf_cstr(&shown) != NULL) {
        (void)fputs(sf_buf_cstr(&shown), cli->err);
    }
    if (code == SF_INVALID) {
        f->shown = true;
        return SF_OK; /* what is wrong with the others is told as well */
    }
    return code;
}

enum sf_code policy_files_read(struct cli *cli, struct policy_files *ret, struct sf_error *err)
{
    enum sf_code code = SF_OK;

    *ret = (struct policy_files){.set = sf_policy_set_new()};
    if (ret->set == NULL) {
        return SF_RAISE(err, SF_NOMEM, "policies");
    }
    for (unsigned i = 0; i < cli->args.positional_count && code == SF_OK; i++) {
        code = read_one(cli, cli->args.positional[i], ret, err);
    }
    if (code == SF_OK && ret->shown) {
        code = SF_RAISE_E(err, SF_INVALID, SHEAF_E_BAD_VALUE, "the policies are not valid");
    }
    return code;
}

void policy_files_done(struct policy_files *f)
{
    for (size_t i = 0; i < f->count; i++) {
        sf_buf_done(&f->files[i].text);
    }
    sf_policy_set_free(f->set);
    *f = (struct policy_files){0};
}

int policy_files_fail(struct cli *cli, const struct policy_files *f, const struct sf_error *err)
{
    return f->shown ? CLI_INVALID : cli_fail(cli, err);
}
