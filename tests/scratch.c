#define _GNU_SOURCE
#include "scratch.h"

#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

static char folder[64];

int scratch_create(void)
{
    snprintf(folder, sizeof folder, "%s/attend-test-XXXXXX", scratch_folder());
    return mkdtemp(folder) ? 0 : -1;
}

int scratch_destroy(void)
{
    return scratch_remove(folder);
}

const char *scratch_name(void)
{
    return folder;
}

const char *scratch_path(const char *name)
{
    static char path[4][256];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", folder, name);
    return path[turn];
}

void scratch_write(const char *name, const char *text, size_t bytes)
{
    FILE *f = fopen(scratch_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, bytes, f), bytes);
    assert_int_equal(fclose(f), 0);
}

char *scratch_read(const char *path, size_t *bytes)
{
    struct stat info;
    FILE *f = fopen(path, "rb");
    if (!f || fstat(fileno(f), &info) != 0) fail_msg("%s is missing", path);
    char *text = malloc((size_t)info.st_size + 1);
    assert_non_null(text);
    *bytes = fread(text, 1, (size_t)info.st_size, f);
    assert_int_equal(*bytes, info.st_size);
    text[*bytes] = '\0';
    fclose(f);
    return text;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info;
    (void)type;
    (void)where;
    return remove(path);
}

int scratch_remove(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT ? 0 : -1;
}
