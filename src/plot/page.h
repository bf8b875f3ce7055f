/* Pages of maps, also of maps that belong to no record. */
#ifndef ATT_PAGE_H
#define ATT_PAGE_H

#include "plot/heatmap.h"

/* row_name, col_name: what stands at the words unless the page's descriptor says. */
att_status att_page_add_map(att_page *page, const att_heatmap *map, const char *name, const char *row_name,
                            const char *col_name);

/* The parts of the page around the data. */
extern const char att_page_style[], att_page_script[];

#endif
