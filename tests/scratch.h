/* The folder of a test program: made at its start, removed with all that is in it at its end. */
#ifndef SCRATCH_H
#define SCRATCH_H

#include "harness.h"

/* Makes it, in memory where the machine allows. 0, or -1: what setups of groups return. */
int scratch_create(void);
int scratch_destroy(void);
const char *scratch_name(void);
/* Of a file in it; the last four answers stay valid. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const char *text, size_t bytes);

/* Any file, new, with a NUL behind it; the test fails when it is missing. */
char *scratch_read(const char *path, size_t *bytes);
/* Any folder with all that is in it, absent ones too. 0, or -1. */
int scratch_remove(const char *path);

#endif
