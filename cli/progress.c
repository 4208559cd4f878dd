#include "cli/progress.h"

#include <time.h>

#include "cli/rows.h"
#include "common/sys/rt.h"

enum { BAR_WIDTH = 20 };

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
    double share = total == 0 ? 1 : (double)done / (double)total;
    char rows_text[32];
    char rate_text[32];

    if (!is_due(p, now)) {
        return;
    }
    p->drawn_ns = now;
    rows_count_text(rows, rows_text);
    rows_count_text((uint64_t)((double)rows / seconds), rate_text);
    (void)fprintf(p->cli->err, "%s%s  ", p->cli->err_is_terminal ? "\r\033[K" : "", p->what);
    for (unsigned i = 0; p->cli->err_is_terminal && i < BAR_WIDTH; i++) {
        (void)fputs(i < (unsigned)(share * BAR_WIDTH) ? "█" : "░", p->cli->err);
    }
    (void)fprintf(p->cli->err, " %3.0f%%  %s rows  %s rows/s  ETA %.0f s%s", share * 100, rows_text,
                  rate_text, share > 0 ? seconds / share - seconds : 0,
                  p->cli->err_is_terminal ? "" : "\n");
    (void)fflush(p->cli->err);
}

void progress_end(struct progress *p)
{
    if (p->drawn_ns != 0 && p->cli->err_is_terminal) {
        (void)fputs("\r\033[K", p->cli->err);
        (void)fflush(p->cli->err);
    }
}
