#include "kernel/addressing.h"

void ATT_REF(content)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(content_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(ntm)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(ntm_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_usage)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_usage_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
/* in: the usage's att_view */
void ATT_REF(dnc_allocation)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_allocation_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_write)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_write_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_link)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_link_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_read)(const att_addressing_call *call, int64_t b, void *scratch);
void ATT_REF(dnc_read_bwd)(const att_addressing_call *call, int64_t b, void *scratch);
