/* How every fallible function answers. It returns an att_status and nothing else; results leave through pointers.
 * After a failure att_last_error() says which argument, file or line was wrong, what was found and what was expected.
 */
#ifndef ATTEND_STATUS_H
#define ATTEND_STATUS_H

#include <attend/export.h>

ATT_BEGIN

typedef enum att_status {
    ATT_OK = 0,
    ATT_E_VALUE = 1,       /* an argument or option has an impossible value                  */
    ATT_E_SHAPE = 2,       /* sizes do not fit each other                                    */
    ATT_E_DTYPE = 3,       /* an element type that this function does not take               */
    ATT_E_UNSUPPORTED = 4, /* a valid request that is not provided                           */
    ATT_E_WORKSPACE = 5,   /* the caller's scratch memory is too small                       */
    ATT_E_MEMORY = 6,      /* the allocator gave nothing                                     */
    ATT_E_IO = 7,          /* the operating system refused a read or write (disk full, ...)  */
    ATT_E_FORMAT = 8,      /* a file's content is not what its kind requires                 */
    ATT_E_MISSING = 9,     /* a file, tensor or key that was named does not exist            */
    ATT_E_DIVERGED = 10,   /* training met non-finite gradients too often                    */
    ATT_E_INTERRUPTED = 11 /* stopped on request; what was done so far is saved              */
} att_status;

/* The message of this thread's latest failure; "" before the first. Valid until the thread's next failure. */
ATT_API const char *att_last_error(void);

/* "ATT_E_SHAPE" and so on; never NULL. */
ATT_API const char *att_status_name(att_status status);

ATT_END

#endif
