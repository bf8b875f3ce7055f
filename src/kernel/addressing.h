/* The steps of memory addressing as the reference sees them: what a call was given, by name. */
#ifndef ATT_KERNEL_ADDRESSING_H
#define ATT_KERNEL_ADDRESSING_H

#include <attend/addressing.h>

/* One call of any step: the inputs are in `in`, their gradients in `grad`. Absent views are left out. */
typedef struct att_addressing_call {
    const void *in, *grad;            /* struct att_content, att_ntm, ... */
    const att_view *out, *second;     /* outputs, or those of the forward */
    const att_view *d_out, *d_second; /* their gradients */
} att_addressing_call;

/* Batch entry b; scratch holds ATT_ADDRESSING_SCRATCH N numbers. */
typedef void (*att_addressing_kernel)(const att_addressing_call *call, int64_t b, void *scratch);

#define ATT_ADDRESSING_SCRATCH 6

#endif
