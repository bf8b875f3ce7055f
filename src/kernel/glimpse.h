/* One call of a glimpse, validated: everything dense. */
#ifndef ATT_KERNEL_GLIMPSE_H
#define ATT_KERNEL_GLIMPSE_H

#include <attend/glimpse.h>

typedef struct att_glimpse_call {
    att_glimpse_desc desc;
    int64_t H, W, C;
    const void *image, *centre, *dpatches;
    void *patches, *dimage, *dcentre; /* dimage, dcentre may be NULL */
} att_glimpse_call;

#endif
