/* A map or a sheet of maps, as one argument. */
#ifndef ATT_HEATMAP_H
#define ATT_HEATMAP_H

#include <attend/plot.h>

#include "plot/canvas.h"

typedef struct att_heatmap {
    const float *weights; /* (panel_rows, panel_cols, rows, cols) */
    int64_t panel_rows, panel_cols, rows, cols;
    const char *const *row_labels, *const *col_labels; /* NULL: none                  */
    const char *const *titles;                         /* NULL: "layer 1, head 1" ... */
} att_heatmap;

/* format: PNG or SVG. */
att_status att_heatmap_draw(const att_heatmap_desc *desc, const att_heatmap *map, att_format format, const char *path);

/* A weight in few characters: ".83", "1", "-2.1"; "" for NaN. */
void att_print_value(char *out, size_t bytes, float v);

/* ATT_E_VALUE or ATT_E_SHAPE when sizes or range are impossible. */
att_status att_heatmap_check(const att_heatmap_desc *desc, const att_heatmap *map);

#endif
