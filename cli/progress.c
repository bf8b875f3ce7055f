/* One bar at a time, on standard error. */
#include "common.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

static struct {
    double total, first_done, begun_s, first_s, shown_s;
    const char *unit;
    bool active, terminal, drawn, counted;
} bar;

#define REDRAW_S 0.1 /* on a terminal */
#define LINE_S   5.0 /* elsewhere */

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cli_progress_begin(double total, const char *unit)
{
    memset(&bar, 0, sizeof bar);
    bar.total = total;
    bar.unit = unit;
    bar.active = !cli.quiet;
    bar.terminal = isatty(STDERR_FILENO);
    bar.begun_s = bar.shown_s = now_s();
}

/* "1:02:03", "4:05" */
static void write_time(char *out, size_t room, double seconds)
{
    long s = seconds < 1e8 ? (long)(seconds + 0.5) : 99999999;
    if (s >= 3600)
        snprintf(out, room, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, room, "%ld:%02ld", s / 60, s % 60);
}

/* "1200/5000 steps, 2,724 tokens/s, 0:42 left" */
static void write_status(char *out, size_t room, double done, const char *rate, double now)
{
    char left[32] = "", count[80];
    double gained = done - bar.first_done;
    if (bar.total > 0)
        snprintf(count, sizeof count, "%.0f/%.0f %s", done, bar.total, bar.unit);
    else
        snprintf(count, sizeof count, "%.0f %s", done, bar.unit);
    if (bar.total > 0 && gained > 0) write_time(left, sizeof left, (now - bar.first_s) * (bar.total - done) / gained);
    snprintf(out, room, "%s%s%s%s%s%s", count, rate ? ", " : "", rate ? rate : "", *left ? ", " : "", left,
             *left ? " left" : "");
}

static void draw(const char *status, double done)
{
    int width = cli_columns(stderr) - (int)strlen(status) - 4;
    fputs("\r\033[K", stderr);
    if (bar.total > 0 && width >= 10) {
        if (width > 40) width = 40;
        double part = done < bar.total ? done / bar.total : 1.0;
        int full = (int)(part * width);
        fputc('[', stderr);
        for (int i = 0; i < width; i++) fputc(i < full ? '#' : '.', stderr);
        fputs("] ", stderr);
    }
    fprintf(stderr, "%.*s", cli_columns(stderr) - 1, status);
    fflush(stderr);
    bar.drawn = true;
}

void cli_progress_update(double done, const char *rate)
{
    if (!bar.active) return;
    double now = now_s();
    if (!bar.counted) {
        bar.counted = true;
        bar.first_done = done;
        bar.first_s = now;
    }
    if (now - bar.shown_s < (bar.terminal ? REDRAW_S : LINE_S)) return;
    char status[256];
    write_status(status, sizeof status, done, rate, now);
    bar.shown_s = now;
    if (bar.terminal)
        draw(status, done);
    else
        fprintf(stderr, "%s\n", status);
}

void cli_progress_hide(void)
{
    if (!bar.drawn) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    bar.drawn = false;
}

void cli_progress_end(void)
{
    cli_progress_hide();
    bar.active = false;
}
