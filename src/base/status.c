#include <stdio.h>

#include "base/base.h"

static _Thread_local char last_error[512];

att_status att_fail(att_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    char text[sizeof last_error]; /* the arguments may point into last_error itself */
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    snprintf(last_error, sizeof last_error, "%s", text);
    return status;
}

const char *att_last_error(void)
{
    return last_error;
}

const char *att_status_name(att_status status)
{
    switch (status) {
    case ATT_OK: return "ATT_OK";
    case ATT_E_VALUE: return "ATT_E_VALUE";
    case ATT_E_SHAPE: return "ATT_E_SHAPE";
    case ATT_E_DTYPE: return "ATT_E_DTYPE";
    case ATT_E_UNSUPPORTED: return "ATT_E_UNSUPPORTED";
    case ATT_E_WORKSPACE: return "ATT_E_WORKSPACE";
    case ATT_E_MEMORY: return "ATT_E_MEMORY";
    case ATT_E_IO: return "ATT_E_IO";
    case ATT_E_FORMAT: return "ATT_E_FORMAT";
    case ATT_E_MISSING: return "ATT_E_MISSING";
    case ATT_E_DIVERGED: return "ATT_E_DIVERGED";
    case ATT_E_INTERRUPTED: return "ATT_E_INTERRUPTED";
    }
    return "unknown status";
}
