/* Few queries against many keys, as a decoder's step has them: keys are cut into splits that different threads take,
 * and all queries of a key head, of all its query heads, read the keys and values once. */
#ifndef ATT_KERNEL_DECODE_H
#define ATT_KERNEL_DECODE_H

#include "kernel/attention.h"

#define ATT_DECODE_ROWS 16 /* queries at most; row r is query r % Tq of query head r / Tq of the key head */

/* A split: its rows of a key head against its keys, and where the result goes. */
typedef struct att_decode_split {
    const att_attention_problem *p;
    int64_t b, hkv, row, rows; /* rows <= ATT_DECODE_ROWS */
    int64_t j, keys;
    float *part; /* att_decode_kernels.part_floats: m, l and o of the rows */
    float *scratch;
} att_decode_split;

typedef struct att_decode_kernels { /* all NULL where a level has nothing of its own */
    int64_t (*part_floats)(const att_attention_problem *p, int64_t rows);
    int64_t (*scratch_floats)(const att_attention_problem *p); /* of each worker */
    void (*split)(const att_decode_split *s);
    /* o, lse and weights of the rows from the parts of all `splits`, which lie one after the other in s->part. */
    void (*combine)(const att_decode_split *s, int64_t splits);
} att_decode_kernels;

#endif
