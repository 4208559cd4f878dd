#include "cli/progress.h"

#include <string.h>
#include <time.h>

#include "cli/rows.h"
#include "common/sys/rt.h"

enum { BAR_WIDTH = 20, COLUMNS_UNKNOWN = 1000, TAIL_MAX = 128 };

static uint64_t now_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SF_NS_PER_S + (uint64_t)now.tv_nsec;
}

void progress_start(struct progress *p, struct cli *cli, const char *what)
{
    *p = (struct progress){.cli = cli, .what = what, .started_ns = now_ns()};
}

double progress_seconds(const struct progress *p)
{
    return (double)(now_ns() - p->started_ns) / 1e9;
}

void progress_line(FILE *out, const char *what, double share, const char *tail, unsigned columns)
{
    size_t room = columns > 1 ? columns - 1 : 0; /* the last column would wrap */
    size_t used = strlen(tail);

    if (used + strlen(what) + 2 <= room) {
        used += strlen(what) + 2;
        (void)fprintf(out, "%s  ", what);
    }
    for (unsigned i = 0; used + BAR_WIDTH <= room && i < BAR_WIDTH; i++) {
        (void)fputs(i < (unsigned)(share * BAR_WIDTH) ? "█" : "░", out);
    }
    (void)fprintf(out, "%.*s", (int)room, tail);
}

static bool is_due(const struct progress *p, uint64_t now)
{
    uint64_t every = p->cli->err_is_terminal ? SF_NS_PER_S / 10 : 10 * SF_NS_PER_S;
    uint64_t first = p->cli->err_is_terminal ? SF_NS_PER_S : 10 * SF_NS_PER_S;

    if (p->cli->quiet) {
        return false;
    }
    return p->drawn_ns == 0 ? now - p->started_ns >= first : now - p->drawn_ns >= every;
}

void progress_show(struct progress *p, uint64_t done, uint64_t total, uint64_t rows)
{
    uint64_t now = now_ns();
    double seconds = (double)(now - p->started_ns) / 1e9;
    const unsigned columns = cli_columns(p->cli->err);
    double share = total == 0 ? 1 : (double)done / (double)total;
    char rows_text[32];
    char rate_text[32];
    char tail[TAIL_MAX];

    if (!is_due(p, now)) {
        return;
    }
    p->drawn_ns = now;
    rows_count_text(rows, rows_text);
    rows_count_text((uint64_t)((double)rows / seconds), rate_text);
    if (rows > 0) {
        (void)snprintf(tail, sizeof(tail), " %3.0f%%  %s rows  %s rows/s  ETA %.0f s", share * 100,
                       rows_text, rate_text, share > 0 ? seconds / share - seconds : 0);
    } else { /* bytes of a backup: no rows are counted on the way */
        (void)snprintf(tail, sizeof(tail), " %3.0f%%  ETA %.0f s", share * 100,
                       share > 0 ? seconds / share - seconds : 0);
    }
    if (p->cli->err_is_terminal) {
        (void)fputs("\r\033[K", p->cli->err);
        progress_line(p->cli->err, p->what, share, tail, columns > 0 ? columns : COLUMNS_UNKNOWN);
    } else {
        (void)fprintf(p->cli->err, "%s  %s\n", p->what, tail);
    }
    (void)fflush(p->cli->err);
}

void progress_end(struct progress *p)
{
    if (p->drawn_ns != 0 && p->cli->err_is_terminal) {
        (void)fputs("\r\033[K", p->cli->err);
        (void)fflush(p->cli->err);
    }
}
