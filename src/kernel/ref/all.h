/* Every header of reference prototypes, once per precision: see both.h. */
#include "kernel/ref/gemm.h"
#include "kernel/ref/bias_act.h"
#include "kernel/ref/attention.h"
#include "kernel/ref/rows.h"
#include "kernel/ref/rnn.h"
#include "kernel/ref/mechanism.h"
#include "kernel/ref/addressing.h"
