/* Training logs as curves: one with its losses and its metric, or several compared. */
#ifndef CLI_PLOT_LOG_H
#define CLI_PLOT_LOG_H

#include <attend/plot.h>

#include "common.h"

enum { CLI_LOGS = 7 }; /* at most as many in one picture: the colours that can be told apart */

/* What the curves go along: "step", "tokens", "minutes". */
extern const char *const cli_log_axes[];

typedef struct cli_log_plot {
    const char *output; /* NULL: draw in the terminal */
    const char *title, *metric;
    const char *names; /* "a,b": what several logs are called; NULL: by their folders */
    double scale, smooth;
    int64_t width, height;
    int over; /* index into cli_log_axes */
    bool log_loss, log_step;
} cli_log_plot;

/* Draw the n logs, 1 <= n <= CLI_LOGS; *values: the number of losses in them. Returns an exit status. */
int cli_plot_logs(const cli_log_plot *plot, FILE *const *input, const char *const *name, int n, int64_t *values);

/* The terminal behind standard output, or `width` columns of it. */
att_terminal_desc cli_terminal_here(int64_t width);

#endif
