/* Products of bfloat16 as the variant has them. */
#if defined(__AMX_BF16__)
#include "kernel/cpu/tiles_amx.h"
#else
#include "kernel/cpu/tiles_avx512.h"
#endif
