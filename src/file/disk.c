#define _GNU_SOURCE
#include "file/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <attend/file.h>
#include <attend/option.h>

#define ATTEMPTS     1000
#define CHUNK_BYTES  ((size_t)1 << 30) /* Linux transfers at most 2 GiB a call */
#define SUFFIX_BYTES 64                /* of ".attend-PID-ATTEMPT.tmp" */

static const char *reason(int error, char *text, size_t bytes)
{
#if defined(__GLIBC__)
    return strerror_r(error, text, bytes);
#else
    return strerror_r(error, text, bytes) == 0 ? text : "unknown error";
#endif
}

/* PATH: cannot WHAT: the text of errno */
static att_status io_error(const char *path, const char *what)
{
    char text[128];
    return att_fail(ATT_E_IO, "%s: cannot %s: %s", path, what, reason(errno, text, sizeof text));
}

att_status att_disk_open(const char *path, int *fd, size_t *bytes)
{
    struct stat info;
    *bytes = 0;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ATT_REQUIRE(*fd >= 0 || errno != ENOENT, ATT_E_MISSING, "%s: no such file", path);
    if (*fd < 0) return io_error(path, "open");
    att_status st = ATT_OK;
    if (fstat(*fd, &info) != 0)
        st = io_error(path, "open");
    else if (!S_ISREG(info.st_mode))
        st = att_fail(ATT_E_FORMAT, "%s: is %s, expected a regular file", path,
                      S_ISDIR(info.st_mode) ? "a directory" : "a device or pipe");
    if (st != ATT_OK) {
        close(*fd);
        *fd = -1;
        return st;
    }
    *bytes = (size_t)info.st_size;
    return ATT_OK;
}

att_status att_disk_read(int fd, const char *path, void *out, size_t bytes, size_t offset)
{
    for (size_t done = 0; done < bytes;) {
        size_t want = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        ssize_t got = pread(fd, (char *)out + done, want, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return io_error(path, "read");
        ATT_REQUIRE(got > 0, ATT_E_IO, "%s: became shorter while it was read", path);
        done += (size_t)got;
    }
    return ATT_OK;
}

static att_status load(int fd, const char *path, size_t limit, char **text, size_t bytes)
{
    void *block;
    ATT_REQUIRE(bytes <= limit, ATT_E_FORMAT, "%s: %zu bytes, expected at most %zu", path, bytes, limit);
    ATT_TRY(att_alloc(NULL, bytes + 1, &block));
    att_status st = att_disk_read(fd, path, block, bytes, 0);
    if (st != ATT_OK) {
        att_free(NULL, block, bytes + 1);
        return st;
    }
    *text = block;
    (*text)[bytes] = '\0';
    return ATT_OK;
}

att_status att_disk_load(const char *path, size_t limit, char **text, size_t *bytes)
{
    int fd;
    *text = NULL;
    ATT_TRY(att_disk_open(path, &fd, bytes));
    att_status st = load(fd, path, limit, text, *bytes);
    close(fd);
    return st;
}

/* ---- writing ---- */

/* The path itself, or where it leads when it is a symbolic link: rename would replace the link. */
static att_status followed(const char *path, char **out)
{
    struct stat info;
    if (lstat(path, &info) == 0 && S_ISLNK(info.st_mode)) {
        char *real = realpath(path, NULL);
        if (!real) return io_error(path, "follow the symbolic link");
        att_status st = att_copy_string(NULL, real, strlen(real), out);
        free(real);
        return st;
    }
    return att_copy_string(NULL, path, strlen(path), out);
}

/* ".attend-PID-ATTEMPT.tmp" in the directory of the file: short, since the file's own name may be as long as allowed */
static void name_temporary(const att_disk_writer *w, char *name, int attempt)
{
    memcpy(name, w->path, w->directory);
    snprintf(name + w->directory, SUFFIX_BYTES, ".attend-%ld-%d.tmp", (long)getpid(), attempt);
}

/* A file without a name, which vanishes by itself however the process ends. Not every file system has them. */
static int open_nameless(const att_disk_writer *w)
{
#if defined(O_TMPFILE)
    char saved = w->path[w->directory], link_path[SUFFIX_BYTES];
    w->path[w->directory] = '\0';
    int fd = open(w->directory ? w->path : ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
    w->path[w->directory] = saved;
    if (fd < 0) return -1;
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", fd);
    if (access(link_path, F_OK) == 0) return fd;
    close(fd);
#else
    (void)w;
#endif
    return -1;
}

/* Give the nameless file the temporary name, or create one with it. */
static att_status take_name(att_disk_writer *w, bool create)
{
    void *block;
    char link_path[SUFFIX_BYTES];
    ATT_TRY(att_alloc(NULL, w->directory + SUFFIX_BYTES, &block));
    char *name = block;
    snprintf(link_path, sizeof link_path, "/proc/self/fd/%d", w->fd);
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        name_temporary(w, name, attempt);
        if (create) w->fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (create ? w->fd >= 0 : linkat(AT_FDCWD, link_path, AT_FDCWD, name, AT_SYMLINK_FOLLOW) == 0) {
            w->temporary = name;
            return ATT_OK;
        }
        if (errno != EEXIST) break;
    }
    int error = errno;
    att_free(NULL, block, w->directory + SUFFIX_BYTES);
    errno = error;
    return io_error(w->path, "create a temporary file beside it");
}

static att_status open_target(att_disk_writer *w)
{
    struct stat info;
    bool exists = stat(w->path, &info) == 0;
    ATT_REQUIRE(!exists || !S_ISDIR(info.st_mode), ATT_E_IO, "%s: cannot write: is a directory", w->path);
    if (exists && !S_ISREG(info.st_mode)) {
        w->direct = true;
        w->fd = open(w->path, O_WRONLY | O_CLOEXEC);
        return w->fd >= 0 ? ATT_OK : io_error(w->path, "write");
    }
    w->fd = open_nameless(w);
    if (w->fd < 0) ATT_TRY(take_name(w, true));
    if (exists && fchmod(w->fd, info.st_mode & 07777) != 0) return io_error(w->path, "set its permissions");
    return ATT_OK;
}

att_status att_disk_begin(att_disk_writer *w, const char *path)
{
    *w = (att_disk_writer){.fd = -1};
    ATT_REQUIRE(path && *path, ATT_E_VALUE, "path: empty, expected the name of a file to write");
    ATT_TRY(followed(path, &w->path));
    const char *slash = strrchr(w->path, '/');
    w->directory = slash ? (size_t)(slash - w->path) + 1 : 0;
    att_status st = open_target(w);
    if (st != ATT_OK) att_disk_abandon(w);
    return st;
}

att_status att_disk_append(att_disk_writer *w, const void *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        size_t want = bytes - done < CHUNK_BYTES ? bytes - done : CHUNK_BYTES;
        ssize_t put = write(w->fd, (const char *)data + done, want);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return io_error(w->path, "write");
        done += (size_t)put;
    }
    return ATT_OK;
}

/* So that the new name survives a power failure too. Some file systems cannot sync a directory and say so. */
static att_status sync_directory(att_disk_writer *w)
{
    char saved = w->path[w->directory];
    w->path[w->directory] = '\0';
    int fd = open(w->directory ? w->path : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    w->path[w->directory] = saved;
    if (fd < 0) return ATT_OK; /* a directory one may write but not read */
    bool good = fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP;
    att_status st = good ? ATT_OK : io_error(w->path, "sync its directory");
    close(fd);
    return st;
}

att_status att_disk_commit(att_disk_writer *w)
{
    if (!w->direct) {
        if (fsync(w->fd) != 0) return io_error(w->path, "sync");
        if (!w->temporary) ATT_TRY(take_name(w, false));
    }
    int fd = w->fd;
    w->fd = -1;
    if (close(fd) != 0) return io_error(w->path, "write");
    if (w->direct) return ATT_OK;
    if (rename(w->temporary, w->path) != 0) return io_error(w->path, "rename its temporary file");
    att_free(NULL, w->temporary, w->directory + SUFFIX_BYTES);
    w->temporary = NULL;
    return sync_directory(w);
}

void att_disk_abandon(att_disk_writer *w)
{
    if (w->fd >= 0) close(w->fd);
    if (w->temporary) {
        unlink(w->temporary);
        att_free(NULL, w->temporary, w->directory + SUFFIX_BYTES);
    }
    if (w->path) att_string_free(w->path);
    *w = (att_disk_writer){.fd = -1};
}

/* The process that a temporary file is named after; 0 for other names. */
static long owner_of(const char *name)
{
    long pid = 0;
    int attempt, end = 0;
    bool ours = sscanf(name, ".attend-%ld-%d.tmp%n", &pid, &attempt, &end) == 2 && end > 0 && name[end] == '\0';
    return ours && pid > 0 && pid <= INT_MAX ? pid : 0;
}

void att_disk_sweep(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d));) {
        long pid = owner_of(e->d_name);
        if (pid && kill((pid_t)pid, 0) != 0 && errno == ESRCH) unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
}

att_status att_file_write_text(const char *path, const char *text, size_t bytes)
{
    att_disk_writer w;
    ATT_TRY(att_disk_begin(&w, path));
    att_status st = att_disk_append(&w, text, bytes);
    if (st == ATT_OK) st = att_disk_commit(&w);
    att_disk_abandon(&w);
    return st;
}

int att_file_exists(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0;
}
