/* Which kernels a call uses. */
#ifndef ATT_DISPATCH_H
#define ATT_DISPATCH_H

#include "base/base.h"
#include "kernel/tables.h"

/* The table for exec->isa, lowered to what this machine has. Never NULL. */
const att_kernels *att_kernels_for(const att_exec *exec);

#endif
