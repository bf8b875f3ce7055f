/* Everything: the public API of libattend. Each header is its own manual and may be included alone. */
#ifndef ATTEND_H
#define ATTEND_H

#include <attend/exec.h>
#include <attend/export.h>
#include <attend/memory.h>
#include <attend/plot.h>
#include <attend/random.h>
#include <attend/status.h>
#include <attend/view.h>

#endif
