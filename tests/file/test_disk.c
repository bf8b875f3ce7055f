#define _GNU_SOURCE
#include "scratch.h"

#include "file/disk.h"

#include <attend/file.h>
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

static const char *folder;
static char path[128];

static int make_folder(void **state)
{
    (void)state;
    if (scratch_create() != 0) return -1;
    folder = scratch_name();
    snprintf(path, sizeof path, "%s/model", folder);
    return 0;
}

static int64_t files_in_folder(void)
{
    int64_t n = 0;
    DIR *d = opendir(folder);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    closedir(d);
    return n;
}

static int remove_folder(void **state)
{
    (void)state;
    return scratch_destroy();
}

static void assert_content(const char *file, const char *want)
{
    char text[64] = {0};
    FILE *f = fopen(file, "rb");
    assert_non_null(f);
    assert_in_range(fread(text, 1, sizeof text - 1, f), 0, sizeof text - 2);
    fclose(f);
    assert_string_equal(text, want);
}

static void writes_and_replaces(void **state)
{
    (void)state;
    struct stat info;
    assert_false(att_file_exists(path));
    assert_ok(att_file_write_text(path, "one", 3));
    assert_true(att_file_exists(path));
    assert_content(path, "one");
    assert_int_equal(chmod(path, 0640), 0);
    assert_ok(att_file_write_text(path, "second", 6));
    assert_content(path, "second");
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    assert_ok(att_file_write_text(path, "", 0));
    assert_content(path, "");
    assert_int_equal(files_in_folder(), 1);
}

static void follows_the_umask(void **state)
{
    (void)state;
    struct stat info;
    char fresh[160];
    mode_t old = umask(027);
    snprintf(fresh, sizeof fresh, "%s/fresh", folder);
    assert_ok(att_file_write_text(fresh, "x", 1));
    umask(old);
    assert_int_equal(stat(fresh, &info), 0);
    assert_int_equal(info.st_mode & 07777, 0640);
    unlink(fresh);
}

static void follows_symbolic_links(void **state)
{
    (void)state;
    char link[160];
    struct stat info;
    snprintf(link, sizeof link, "%s/link", folder);
    assert_ok(att_file_write_text(path, "old", 3));
    assert_int_equal(symlink("model", link), 0);
    assert_ok(att_file_write_text(link, "new", 3));
    assert_int_equal(lstat(link, &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_content(path, "new");
    unlink(link);
}

static void names_path_and_reason(void **state)
{
    (void)state;
    char long_name[400];
    assert_int_equal(att_file_write_text("/nowhere/at/all", "x", 1), ATT_E_IO);
    assert_non_null(strstr(att_last_error(), "/nowhere/at/all: cannot "));
    assert_non_null(strstr(att_last_error(), "No such file or directory"));
    assert_int_equal(att_file_write_text(folder, "x", 1), ATT_E_IO);
    assert_non_null(strstr(att_last_error(), "is a directory"));
    assert_int_equal(att_file_write_text("", "x", 1), ATT_E_VALUE);
    snprintf(long_name, sizeof long_name, "%s/%0300d", folder, 0);
    assert_int_equal(att_file_write_text(long_name, "x", 1), ATT_E_IO);
    assert_non_null(strstr(att_last_error(), "File name too long"));
    snprintf(long_name, sizeof long_name, "%s/%0255d", folder, 0);
    assert_ok(att_file_write_text(long_name, "x", 1));
    unlink(long_name);
    assert_int_equal(files_in_folder(), 1);
}

static void devices_are_written_in_place(void **state)
{
    (void)state;
    struct stat before, after;
    assert_int_equal(stat("/dev/full", &before), 0);
    assert_int_equal(att_file_write_text("/dev/full", "x", 1), ATT_E_IO);
    assert_string_equal(att_last_error(), "/dev/full: cannot write: No space left on device");
    assert_int_equal(stat("/dev/full", &after), 0);
    assert_true(before.st_ino == after.st_ino && S_ISCHR(after.st_mode));
    assert_ok(att_file_write_text("/dev/null", "x", 1));
}

/* The limit on file sizes makes write() fail in the middle, as a full disk does. */
static void failing_writes_leave_the_old_file(void **state)
{
    (void)state;
    enum { BYTES = 1 << 20 };
    char *big = calloc(1, BYTES);
    struct rlimit old, small;
    assert_ok(att_file_write_text(path, "old", 3));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = old;
    small.rlim_cur = 4096;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    att_status st = att_file_write_text(path, big, BYTES);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(st, ATT_E_IO);
    assert_non_null(strstr(att_last_error(), "File too large"));
    assert_content(path, "old");
    assert_int_equal(files_in_folder(), 1);
    free(big);
}

static void full_disk_leaves_the_old_model(void **state)
{
    (void)state;
    if (geteuid() != 0 || mount("attend", folder, "tmpfs", 0, "size=256k") != 0) {
        print_message("no right to mount a small file system\n");
        skip();
    }
    float *big = calloc(1 << 16, sizeof *big);
    float small[] = {1, 2, 3};
    att_named_view old = {"w", att_view_1d(small, ATT_F32, 3)}, fresh = {"w", att_view_1d(big, ATT_F32, 1 << 16)};
    att_file *f = NULL;
    att_view v = {0};
    att_status saved = att_file_save(path, &old, 1, NULL, 0);
    att_status st = att_file_save(path, &fresh, 1, NULL, 0);
    bool said = strstr(att_last_error(), "/model: cannot write: No space left on device") != NULL;
    int64_t files = files_in_folder();
    att_status opened = att_file_open(path, NULL, &f);
    bool whole = opened == ATT_OK && att_file_tensor(f, "w", &v) == ATT_OK && memcmp(v.data, small, sizeof small) == 0;
    att_file_close(f);
    free(big);
    assert_int_equal(umount(folder), 0);
    assert_ok(saved);
    assert_int_equal(st, ATT_E_IO);
    assert_true(said && whole);
    assert_int_equal(files, 1);
}

/* Children that save all the time are killed at arbitrary moments: the file is always one of the two versions. */
static void kill_leaves_a_whole_file(void **state)
{
    (void)state;
    enum { N = 5000 };
    static float a[N], b[N];
    for (int i = 0; i < N; i++) a[i] = 1, b[i] = 2;
    const att_named_view view[2] = {{"w", att_view_1d(a, ATT_F32, N)}, {"w", att_view_1d(b, ATT_F32, N)}};
    assert_ok(att_file_save(path, &view[0], 1, NULL, 0));
    att_random random = {.seed = 1};
    for (int round = 0; round < 20; round++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            for (int i = 0;; i++)
                if (att_file_save(path, &view[i % 2], 1, NULL, 0) != ATT_OK) _exit(1);
        usleep((useconds_t)att_random_below(&random, 8000));
        kill(child, SIGKILL);
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSIGNALED(status));
        att_file *f;
        att_view v;
        assert_ok(att_file_open(path, NULL, &f));
        assert_ok(att_file_tensor(f, "w", &v));
        assert_true(memcmp(v.data, a, sizeof a) == 0 || memcmp(v.data, b, sizeof b) == 0);
        att_file_close(f);
    }
}

static void touch(const char *name)
{
    char file[256];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    int fd = open(file, O_WRONLY | O_CREAT, 0666);
    assert_true(fd >= 0);
    close(fd);
}

/* What a kill between link and rename leaves is swept away; what a living process writes, or another program, is not.
 */
static void sweeps_what_killed_processes_left(void **state)
{
    (void)state;
    char gone[64], alive[64];
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) _exit(0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    snprintf(gone, sizeof gone, ".attend-%ld-3.tmp", (long)child);
    snprintf(alive, sizeof alive, ".attend-%ld-0.tmp", (long)getpid());
    att_disk_sweep(folder); /* what the test before this one may have left */
    int64_t before = files_in_folder();
    const char *kept[] = {alive, ".attend-0-0.tmp", ".attend--5-0.tmp", ".attend-x.tmp", ".attend-99-0.tmpx", "a.tmp"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) touch(kept[i]);
    touch(gone);
    att_disk_sweep(folder);
    assert_int_equal(files_in_folder(), before + (int64_t)(sizeof kept / sizeof *kept));
    att_disk_sweep("/nowhere/at/all");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_and_replaces),
        cmocka_unit_test(follows_the_umask),
        cmocka_unit_test(follows_symbolic_links),
        cmocka_unit_test(names_path_and_reason),
        cmocka_unit_test(devices_are_written_in_place),
        cmocka_unit_test(failing_writes_leave_the_old_file),
        cmocka_unit_test(full_disk_leaves_the_old_model),
        cmocka_unit_test(kill_leaves_a_whole_file),
        cmocka_unit_test(sweeps_what_killed_processes_left),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
