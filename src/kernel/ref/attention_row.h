/* One query's row, as the files of the reference's attention share it. */
#ifndef ATT_REF_ATTENTION_ROW_H
#define ATT_REF_ATTENTION_ROW_H

#include <math.h>
#include <stddef.h>

#include "kernel/ref/real.h"
#include "kernel/ref/attention.h"

#define ATT_REF_TILE 64 /* keys that a custom score function gets at a time */

typedef struct att_ref_row {
    const att_attention_problem *p;
    int64_t b, h, hkv, i;
    const real *q; /* (D) the query, converted where it has another type                               */
    real *s;       /* (Tk) scale score(q_i, k_j)                                                       */
    real *z;       /* (Tk) what is aligned: softcap, biases, temperature; -inf for the hidden ones     */
    real *a;       /* (Tk) align(z)                                                                    */
    real *w;       /* (Tk) the weights: a, or a times the Gaussian                                     */
    real *g;       /* (Tk) gradients: of w, then of a, then of z, then of s                            */
    real *spare;   /* (Tk)                                                                             */
    real *o;       /* (Dv) the output                                                                  */
    real *room_q, *room_k, *room_v; /* (D), (D), (Dv) for converted rows */
    real *tile, *dtile, *dquery;    /* (ATT_REF_TILE, D) twice, (D): CUSTOM */
} att_ref_row;

static inline real *att_ref_at(const att_grid *g, int64_t b, int64_t h, int64_t t)
{
    return (real *)g->data + b * g->b + h * g->h + t * g->t;
}

/* ---- attention_score.c ---- */

const real *ATT_REF(attention_query)(const att_ref_row *r);
const real *ATT_REF(attention_key)(const att_ref_row *r, int64_t j);
const real *ATT_REF(attention_value)(const att_ref_row *r, int64_t j);
/* s, where z is not -inf. */
void ATT_REF(attention_raw)(const att_ref_row *r);
/* s and z. */
void ATT_REF(attention_score)(const att_ref_row *r);
/* From g, the gradient of z: dq, dk, dscore_w, dbias, drelative. Leaves the gradient of s in g. */
void ATT_REF(attention_score_bwd)(const att_ref_row *r);

/* ---- attention_align.c ---- */

/* The first largest of x; -1 when all are -inf. */
int64_t ATT_REF(attention_largest)(const real *x, int64_t n);
/* The row's log sum exp, or tau for SPARSEMAX and ENTMAX15; -inf where there is nothing. */
real ATT_REF(attention_lse)(const att_ref_row *r);
/* a and w from z and lse. */
void ATT_REF(attention_align)(const att_ref_row *r, real lse);
/* From g, the gradient of w: the gradient of z, into g; dcentre, dsinks. */
void ATT_REF(attention_align_bwd)(const att_ref_row *r, real lse);

#endif
