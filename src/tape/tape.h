/* Inside of the tape: nodes, records, and what an operation's forward and backward may ask for. */
#ifndef ATT_TAPE_H
#define ATT_TAPE_H

#include <attend/tape.h>

#include "base/arena.h"
#include "base/base.h"
#include "tape/params.h"

/* A node either owns memory (root == itself) or is a view into its root's. A root's gradient mirrors its memory, so the
 * gradient of a view is the same view shifted: slices, transpositions and reshapes need no backward of their own. */
struct att_node {
    att_view value;
    att_node *root;
    att_parameter *parameter; /* root only: gradient and its validity live there */
    void *memory;             /* root only: start of the value's memory */
    size_t bytes;             /* root only */
    void *gradient;           /* root only */
    bool needs_gradient;
    bool leaf; /* a variable of the caller, whose gradient it may read afterwards */
};

/* One recorded operation: the first member of each operation's own struct. */
typedef struct att_record att_record;
struct att_record {
    att_status (*backward)(att_tape *tape, att_record *record);
    att_record *previous;
    att_node *made; /* the operation's output, whose gradient is read for the last time in this backward; or NULL */
};

/* Memory of a gradient that nobody reads any more; it lies in that memory. */
typedef struct att_spare {
    struct att_spare *next;
    size_t bytes;
} att_spare;

struct att_tape {
    const att_allocator *allocator;
    att_exec exec;
    att_arena arena;
    att_span scratch; /* one operation's workspace */
    int64_t scratch_grown;
    att_record *last;
    att_spare *spare; /* the latest first: it may still be in the cache */
    att_status status;
    char *message; /* of the first failure */
    att_node dead; /* what operations return after a failure */
    bool recording;
    bool bfloat16; /* large products may round to it */
};

#define ATT_MESSAGE_BYTES 512

/* Remember the first failure; returns the inert node. */
att_node *att_tape_fail(att_tape *tape, att_status status);

/* `return att_tape_fail(...)` unless the call succeeds: for operations that return a node. */
#define TAPE_TRY(tape, call)                                                                                           \
    do {                                                                                                               \
        att_status st_ = (call);                                                                                       \
        if (st_ != ATT_OK) return att_tape_fail((tape), st_);                                                          \
    } while (0)
#define TAPE_REQUIRE(tape, cond, status, ...)                                                                          \
    do {                                                                                                               \
        if (!(cond)) return att_tape_fail((tape), att_fail((status), __VA_ARGS__));                                    \
    } while (0)

/* A root of undefined content. `order` lists the axes from the slowest to the fastest in memory; NULL: row-major. */
att_status att_tape_new_node(att_tape *tape, int ndim, const int64_t *dim, const int *order, bool needs_gradient,
                             att_node **out);
/* A view of x's memory. */
att_status att_tape_new_view(att_tape *tape, att_node *x, const att_view *view, att_node **out);
/* A record of `bytes` (>= sizeof(att_record)) of what made `made`, or of what makes nothing (NULL), appended to the
 * tape; *out = NULL when nothing is to be recorded. */
att_status att_tape_new_record(att_tape *tape, att_node *made, size_t bytes,
                               att_status (*backward)(att_tape *, att_record *), void *out);
/* Whether an operation on these inputs has to be recorded. */
bool att_tape_follows(const att_tape *tape, const att_node *x);

/* Where to add x's gradient. With `fresh` not NULL and no gradient so far, *fresh = true says: write, do not add. For
 * an x that is not followed it is memory that nobody reads. */
att_status att_tape_gradient(att_tape *tape, att_node *x, bool *fresh, att_view *out);
/* The finished gradient of an operation's output; false if none arrived. */
bool att_tape_arrived(const att_node *x, att_view *out);
/* Nobody reads the gradient of the root x any more: others may have its memory. For an operation's second output; that
 * of record.made is spent by the tape. */
void att_tape_spend(att_tape *tape, att_node *x);
/* At least `bytes` of workspace, valid until the next call. */
att_status att_tape_scratch(att_tape *tape, size_t bytes, att_span *out);

/* The packed form of p's value, or of its transpose; a tape that records refuses rounded weights. */
att_status att_tape_packed(const att_tape *tape, att_parameter *p, bool transposed, const att_packed **out);

/* Checks that x has as many columns as w has rows, or columns when `transposed`, and flattens it as att_tape_rows does.
 */
att_status att_tape_linear_rows(att_tape *tape, att_node **x, const att_node *w, bool transposed, att_view *rows);
/* c = a op(w): op(w) is w, or its transpose when `transposed`; through the packed copy if w is a whole parameter and
 * stays float32. */
att_status att_tape_product(att_tape *tape, att_product_desc desc, const att_view *c, const att_view *a,
                            const att_node *w, bool transposed, const att_view *bias);
/* dw = [dw +] x^T dy, or dw(N,K) = [dw +] dy^T x when `transposed`; rows of x and of dy. */
att_status att_tape_weight_gradient(att_tape *tape, const att_view *dw, bool add, const att_view *x, const att_view *dy,
                                    bool transposed);

/* x itself if its leading dimensions can be flattened to evenly spaced rows, else a recorded dense copy. */
att_status att_tape_rows(att_tape *tape, att_node *x, att_node **dense, att_view *rows);

#endif
