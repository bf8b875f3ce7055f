/* Glimpses: an image seen through a retina, sharp at the point that a network looks at and coarser around it (Mnih,
 * Heess, Graves, Kavukcuoglu 2014: "Recurrent models of visual attention"). */
#ifndef ATTEND_GLIMPSE_H
#define ATTEND_GLIMPSE_H

#include <attend/exec.h>
#include <attend/view.h>

ATT_BEGIN

typedef enum att_glimpse_kind {
    ATT_GLIMPSE_BILINEAR = 0, /* between pixels, differentiable through the centre (as Jaderberg et al. 2015) */
    ATT_GLIMPSE_CROP          /* whole pixels, the nearest to the centre: no gradient reaches it, as in the paper, where
                                 REINFORCE trains it */
} att_glimpse_kind;

typedef struct att_glimpse_desc {
    att_glimpse_kind kind;
    int64_t size;   /* P: cells on a side of each patch, 1 or more */
    int64_t scales; /* S, 1 to 16: a cell of patch s is the mean of 2^s x 2^s samples one pixel apart */
} att_glimpse_desc;

/* image (B,H,W,C), centre (B,2) as (y,x) with (-1,-1) the upper left corner of the image and (1,1) the lower right
 * -> patches (B,S,P,P,C).  All float32 or all float64, dense. What lies outside of the image is 0.
 * No allocation; the same bits for any number of threads. Fails with ATT_E_SHAPE, ATT_E_DTYPE, ATT_E_VALUE. */
ATT_API att_status att_glimpse_forward(const att_glimpse_desc *desc, const att_exec *exec, const att_view *patches,
                                       const att_view *image, const att_view *centre);
/* dimage, dcentre are ADDED into; either may be absent. dcentre of CROP is ATT_E_UNSUPPORTED. */
ATT_API att_status att_glimpse_backward(const att_glimpse_desc *desc, const att_exec *exec, const att_view *dimage,
                                        const att_view *dcentre, const att_view *dpatches, const att_view *image,
                                        const att_view *centre);

ATT_END

#endif
