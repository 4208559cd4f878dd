#include "leaf/store/head_file.h"

#include "common/sys/file.h"
#include "leaf/store/store_internal.h"
#include "proto/errors.h"

static enum sf_code write_record(const struct store *s, const char *path, struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf record = {0};
    enum sf_code code;

    head_record_encode(s, &record);
    code = sf_buf_check(&record, "head record", err);
    return code == SF_OK ? sf_file_write(path, sf_buf_view(&record), 0600, err) : code;
}

/* The first line of what is missing, for an error. */
static struct sf_slice first_line(const struct head_lack *l)
{
    const uint8_t *end = memchr(l->text.data, '\n', l->text.size);

    return sf_slice_of(l->text.data, end == NULL ? l->text.size : (size_t)(end - l->text.data));
}

static enum sf_code behind(const struct head_lack *l, const char *path, struct sf_error *err)
{
    const struct sf_slice first = first_line(l);

    if (l->lanes == 1) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_BEHIND, "%.*s (says %s)",
                          SF_SLICE_ARG(first), path);
    }
    return SF_RAISE_E(
        err, SF_CORRUPT, SHEAF_E_STORE_BEHIND, "%llu changes of %llu tables, first %.*s (says %s)",
        (unsigned long long)l->changes, (unsigned long long)l->lanes, SF_SLICE_ARG(first), path);
}

static enum sf_code compare(struct store *s, const char *path, struct sf_slice record,
                            struct head_lack *lack, struct sf_error *err)
{
    struct head_lack found;
    enum sf_code code = head_record_compare(s, record, &found, err);

    if (code == SF_CORRUPT) {
        return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_BEHIND,
                          "%s is damaged: whether anything is missing cannot be known", path);
    }
    if (code == SF_OK && found.lanes > 0) {
        code = behind(&found, path, err);
    }
    if (lack != NULL && found.lanes > 0) {
        *lack = found;
    } else {
        head_lack_done(&found);
    }
    return code;
}

enum sf_code head_file_check(struct store *s, const char *path, struct head_lack *lack,
                             struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    enum sf_code code = sf_file_read(path, HEAD_RECORD_BYTES_MAX, &file, err);

    if (lack != NULL) {
        *lack = (struct head_lack){0};
    }
    if (code == SF_OK) {
        return compare(s, path, sf_buf_view(&file), lack, err);
    }
    if (code != SF_ABSENT) {
        return code;
    }
    if (s->last.commit == 0 && s->epoch == 1) {
        return s->options.read_only ? SF_OK : write_record(s, path, err);
    }
    return SF_RAISE_E(err, SF_CORRUPT, SHEAF_E_STORE_BEHIND,
                      "%s is missing: whether anything else is cannot be known", path);
}

enum sf_code head_file_accept(struct store *s, const char *path, uint32_t epoch_min,
                              struct sf_error *err)
{
    SF_CLEANUP(sf_buf_done) struct sf_buf file = {0};
    struct head_record r;
    enum sf_code code = sf_file_read(path, HEAD_RECORD_BYTES_MAX, &file, err);

    if (code == SF_OK && head_record_decode(sf_buf_view(&file), &r, NULL) == SF_OK &&
        r.epoch >= epoch_min) {
        epoch_min = r.epoch + 1;
    }
    code = store_raise_epoch(s, epoch_min, err);
    return code == SF_OK ? write_record(s, path, err) : code;
}
