/* Reading whole files, and writing them so that a file is either the old or the new one. */
#ifndef ATT_DISK_H
#define ATT_DISK_H

#include "base/base.h"

/* Open a regular file for reading. ATT_E_MISSING when it does not exist, ATT_E_FORMAT for a directory or device. */
att_status att_disk_open(const char *path, int *fd, size_t *bytes);
/* Exactly `bytes` at `offset`; a file that became shorter meanwhile is ATT_E_IO. */
att_status att_disk_read(int fd, const char *path, void *out, size_t bytes, size_t offset);
/* The whole file and a NUL; free with att_free(NULL, *text, *bytes + 1). ATT_E_FORMAT beyond `limit` bytes. */
att_status att_disk_load(const char *path, size_t limit, char **text, size_t *bytes);

/* A file being written. begin, append any number of times, then commit or abandon (harmless after either). */
typedef struct att_disk_writer {
    char *path;       /* what the file will be: the argument, symbolic links followed */
    char *temporary;  /* its name until then; NULL while it has none */
    size_t directory; /* bytes of `path` up to and with the last slash */
    int fd;           /* -1: not open */
    bool direct;      /* a device or pipe: written in place */
} att_disk_writer;

att_status att_disk_begin(att_disk_writer *w, const char *path);
att_status att_disk_append(att_disk_writer *w, const void *data, size_t bytes);
att_status att_disk_commit(att_disk_writer *w);
void att_disk_abandon(att_disk_writer *w);

/* Remove what killed processes left in the folder: temporary files whose process is gone. A kill between the moment
 * when a file gets its temporary name and the one when it takes its own leaves one behind. */
void att_disk_sweep(const char *folder);

#endif
