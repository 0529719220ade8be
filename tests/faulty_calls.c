/* System calls that fail when they are told to, for tests: put before the C library with LD_PRELOAD.
 *
 * FAULT_UNDER=FOLDER   only calls on files below it count
 * FAULT_LOCKS=1        file locks answer ENOLCK, as some shared file systems do
 * FAULT_CALL=N         from the Nth call on that needs room on the disk, all of them fail
 * FAULT_ERRNO=N        with this error; else ENOSPC
 * FAULT_KILL=N         at the Nth call that writes, renames, links, deletes or syncs, the process is killed
 * FAULT_SLOW_MS=N      each such call takes so much longer
 * FAULT_CLOCK=N        the time of day is N seconds off
 *
 * fault_room and fault_changes count the calls of either kind; fault_clock is by how many seconds more the time is off.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

long fault_room, fault_changes, fault_clock;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static long number_of(const char *variable) {
    const char *text = getenv(variable);
    return text ? atol(text) : -1;
}

static int is_under(const char *path) {
    const char *folder = getenv("FAULT_UNDER");
    char whole[8192];
    if (!folder || !path) return 0;
    if (path[0] != '/') {
        char here[4096];
        if (!getcwd(here, sizeof here)) return 0;
        snprintf(whole, sizeof whole, "%s/%s", here, path);
        path = whole;
    }
    return strncmp(path, folder, strlen(folder)) == 0;
}

static int is_file_under(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_under(path);
}

static void change(void) {
    long slow = number_of("FAULT_SLOW_MS");
    if (slow > 0) usleep(slow * 1000);
    if (__atomic_add_fetch(&fault_changes, 1, __ATOMIC_SEQ_CST) == number_of("FAULT_KILL")) kill(getpid(), SIGKILL);
}

/* Whether the disk is full by now; errno then says so. */
static int is_full(void) {
    long wanted = number_of("FAULT_CALL");
    long count = __atomic_add_fetch(&fault_room, 1, __ATOMIC_SEQ_CST);
    if (wanted <= 0 || count < wanted) return 0;
    errno = number_of("FAULT_ERRNO") > 0 ? number_of("FAULT_ERRNO") : ENOSPC;
    return 1;
}

#define NEEDS_ROOM(is_ours) \
    if (is_ours) { \
        change(); \
        if (is_full()) return -1; \
    }
#define CHANGES(is_ours) if (is_ours) change();

ssize_t write(int file, const void *data, size_t count) {
    NEEDS_ROOM(is_file_under(file))
    return REAL(write)(file, data, count);
}

ssize_t pwrite(int file, const void *data, size_t count, off_t place) {
    NEEDS_ROOM(is_file_under(file))
    return REAL(pwrite)(file, data, count, place);
}

ssize_t pwrite64(int file, const void *data, size_t count, off64_t place) {
    NEEDS_ROOM(is_file_under(file))
    return REAL(pwrite64)(file, data, count, place);
}

ssize_t sendfile64(int out, int in, off64_t *place, size_t count) {
    NEEDS_ROOM(is_file_under(out))
    ssize_t (*real)(int, int, off64_t *, size_t) = dlsym(RTLD_NEXT, "sendfile64");
    return real(out, in, place, count);
}

ssize_t sendfile(int out, int in, off_t *place, size_t count) {
    NEEDS_ROOM(is_file_under(out))
    ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");
    return real(out, in, place, count);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t count, unsigned flags) {
    NEEDS_ROOM(is_file_under(out))
    return REAL(copy_file_range)(in, from, out, to, count, flags);
}

int mkdir(const char *path, mode_t mode) {
    NEEDS_ROOM(is_under(path))
    return REAL(mkdir)(path, mode);
}

int link(const char *from, const char *to) {
    NEEDS_ROOM(is_under(to))
    return REAL(link)(from, to);
}

int linkat(int at, const char *from, int to_at, const char *to, int flags) {
    NEEDS_ROOM(is_under(to))
    return REAL(linkat)(at, from, to_at, to, flags);
}

int rename(const char *from, const char *to) {
    CHANGES(is_under(to))
    return REAL(rename)(from, to);
}

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    CHANGES(is_under(to))
    return REAL(renameat2)(at, from, to_at, to, flags);
}

int unlink(const char *path) {
    CHANGES(is_under(path))
    return REAL(unlink)(path);
}

int fsync(int file) {
    CHANGES(is_file_under(file))
    return REAL(fsync)(file);
}

int fdatasync(int file) {
    CHANGES(is_file_under(file))
    return REAL(fdatasync)(file);
}

static int opened(const char *name, const char *path, int flags, mode_t mode) {
    if ((flags & O_CREAT) && is_under(path) && access(path, F_OK) != 0) {
        change();
        if (is_full()) return -1;
    }
    int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
    return real(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    mode_t mode = va_arg(rest, mode_t);
    va_end(rest);
    return opened("open64", path, flags, mode);
}

static int controlled(const char *name, int file, int command, void *value) {
    int is_lock = command == F_SETLK || command == F_SETLKW || command == F_GETLK;
    if (is_lock && getenv("FAULT_LOCKS") && is_file_under(file)) { errno = ENOLCK; return -1; }
    int (*real)(int, int, ...) = dlsym(RTLD_NEXT, name);
    return real(file, command, value);
}

int fcntl(int file, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *value = va_arg(rest, void *);
    va_end(rest);
    return controlled("fcntl", file, command, value);
}

int fcntl64(int file, int command, ...) {
    va_list rest;
    va_start(rest, command);
    void *value = va_arg(rest, void *);
    va_end(rest);
    return controlled("fcntl64", file, command, value);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int failed = REAL(clock_gettime)(clock, now);
    if (!failed && clock == CLOCK_REALTIME) now->tv_sec += fault_clock + (getenv("FAULT_CLOCK") ? number_of("FAULT_CLOCK") : 0);
    return failed;
}
