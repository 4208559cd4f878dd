#include "leaf/store/cut_file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "common/sys/file.h"
#include "common/sys/log.h"

enum { PATH_BYTES = 4096 };

static enum sf_code shorten(const char *path, uint64_t size, struct sf_error *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    bool done = false;

    if (fd >= 0) {
        done = ftruncate(fd, (off_t)size) == 0 && fsync(fd) == 0;
        done = close(fd) == 0 && done;
    }
    return done ? SF_OK : SF_RAISE(err, SF_IO, "cannot cut '%s': %m", path);
}

/* Keeps the rest and shortens @path. */
static enum sf_code keep_and_shorten(const char *path, const char *kept, uint64_t at,
                                     struct sf_error *err)
{
    struct sf_mapping file = {0};
    uint64_t bytes;
    enum sf_code code = sf_mapping_open(path, &file, err);

    if (code != SF_OK || file.bytes.size <= at) {
        sf_mapping_done(&file);
        return code;
    }
    bytes = file.bytes.size - at;
    code = sf_file_write(kept, sf_slice_of(file.bytes.data + at, bytes), 0600, err);
    sf_mapping_done(&file);
    code = code == SF_OK ? shorten(path, at, err) : code;
    if (code == SF_OK) {
        sf_log(SF_LOG_WARN, "store.log_cut", SF_F_TEXT("file", path), SF_F_UINT("at", at),
               SF_F_UINT("bytes", bytes), SF_F_TEXT("kept", kept));
    }
    return code;
}

enum sf_code cut_file(const char *store, const char *name, uint64_t at, struct sf_error *err)
{
    char path[PATH_BYTES];
    char side[PATH_BYTES];
    char kept[PATH_BYTES];
    enum sf_code code;

    if (snprintf(path, sizeof(path), "%s/db/%s", store, name) >= (int)sizeof(path) ||
        snprintf(side, sizeof(side), "%s/cut", store) >= (int)sizeof(side) ||
        snprintf(kept, sizeof(kept), "%s/cut/%s.from-%" PRIu64, store, name, at) >=
            (int)sizeof(kept)) {
        return SF_RAISE(err, SF_INVALID, "data directory: path is too long");
    }
    code = sf_dir_make(side, 0700, err);
    return code == SF_OK ? keep_and_shorten(path, kept, at, err) : code;
}
