#include "common/settings/complain.h"

#include "proto/errors.h"

static uint16_t number_of(const struct sf_error *err)
{
    if (err->number != 0) {
        return err->number;
    }
    if (err->code == SF_INVALID) {
        return SHEAF_E_USAGE;
    }
    return err->code == SF_ABSENT || err->code == SF_DENIED || err->code == SF_IO
               ? SHEAF_E_FILE_UNREADABLE
               : SHEAF_E_INTERNAL;
}

int sf_complain(FILE *out, const char *program, const struct sf_error *err)
{
    const struct sheaf_error_info *info = sheaf_error_info(number_of(err));

    (void)fprintf(out, "%s: error[SHEAF-E%04u]: %s: %s\n  next: ", program, info->number,
                  info->title, err->text);
    if (info->number == SHEAF_E_USAGE) {
        (void)fprintf(out, "see '%s --help'\n", program);
    } else {
        (void)fprintf(out, "%s\n", info->next);
    }
    return info->exit_code;
}
