/* Pages of maps, also of maps that belong to no record. */
#ifndef ATT_PAGE_H
#define ATT_PAGE_H

#include "plot/heatmap.h"

att_status att_page_add_map(att_page *page, const att_heatmap *map, const char *name);

/* The parts of the page around the data. */
extern const char att_page_style[], att_page_script[];

#endif
