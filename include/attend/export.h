/* Symbol visibility and language linkage, shared by every public header. */
#ifndef ATTEND_EXPORT_H
#define ATTEND_EXPORT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define ATT_API               __attribute__((visibility("default")))
#define ATT_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define ATT_API
#define ATT_PRINTF(fmt, args)
#endif

#ifdef __cplusplus
#define ATT_BEGIN extern "C" {
#define ATT_END   }
#else
#define ATT_BEGIN
#define ATT_END
#endif

#endif
