#include "kernel/glimpse.h"

void ATT_REF(glimpse)(const att_glimpse_call *call, int64_t b);
void ATT_REF(glimpse_bwd)(const att_glimpse_call *call, int64_t b);
