/* Arrays as NumPy's .npy files (format versions 1, 2 and 3):  np.save("q.npy", q)  and  q = np.load("o.npy"). */
#ifndef ATTEND_NPY_H
#define ATTEND_NPY_H

#include <attend/export.h>
#include <attend/memory.h>
#include <attend/status.h>
#include <attend/view.h>

ATT_BEGIN

/* The array in the file, in its own element type: float32, float64, float16, int8, int32, int64, uint8, all
 * little-endian, or bool, which becomes ATT_U8. An array saved in Fortran's order keeps it, as strides. Like np.load,
 * ignores what follows the array. Free with att_npy_free.
 * No more memory is asked for than the file is long, whatever its header says.
 * Fails with ATT_E_MISSING, ATT_E_IO, ATT_E_MEMORY, ATT_E_FORMAT (no .npy file, or a broken one), ATT_E_DTYPE (another
 * element type, also big-endian) and ATT_E_UNSUPPORTED (more than ATT_MAX_DIMS dimensions). */
ATT_API att_status att_npy_read(const char *path, const att_allocator *allocator, att_view *out);

/* The memory of a view as att_npy_read gave it; the view becomes absent. An absent one is harmless. */
ATT_API void att_npy_free(const att_allocator *allocator, att_view *v);

/* Write a view of any strides, in C order, as np.save would to the byte. The file appears whole or not at all: a
 * temporary file beside it is synced and renamed.
 * Fails with ATT_E_VALUE (an absent view), ATT_E_SHAPE, ATT_E_DTYPE (NumPy has no bfloat16), ATT_E_IO, ATT_E_MEMORY. */
ATT_API att_status att_npy_write(const char *path, const att_view *v);

ATT_END

#endif
