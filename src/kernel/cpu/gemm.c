#include "kernel/cpu/vmath.h"
