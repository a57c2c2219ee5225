// LD_PRELOAD library of the crash harness: kills or fails the Nth call of a kind, and turns the clocks.
//
// Why a library and not `strace -e inject`: it can write *part* of what was asked for and say so (strace can only lie about the
// count), it counts the calls on files apart from those on sockets and one thread's apart from the others', it can kill after
// the call as well as before it, and it costs nothing, so that a cycle takes a fraction of a second. What it can't see are system calls
// that don't go through libc's symbols: Swift's and liblmdb's file calls do.
//
// It is driven by a file that the harness maps too (`OTPD_FAULT_CONTROL`); the harness' Control.swift has the same layout.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum kind { OPEN, WRITE, PWRITE, WRITEV, FDATASYNC, FSYNC, RENAME, UNLINK, MKDIR, READ, SEND, RECEIVE, FALLOCATE, KINDS };
enum fault { NONE, KILL_BEFORE, KILL_AFTER, IO_ERROR, NO_SPACE, INTERRUPTED, SHORT, SLOW };
enum scope { ALL_THREADS, CHECKPOINTER, ALL_BUT_CHECKPOINTER };

struct control {
    _Atomic int64_t realtime_shift_ns;
    _Atomic int64_t boottime_shift_ns;
    _Atomic uint64_t boot_id[2];  // both zero: the real one
    _Atomic uint32_t armed;
    _Atomic uint32_t kind;
    _Atomic uint32_t fault;
    _Atomic uint32_t scope;
    _Atomic uint64_t nth;  // from 1, counted since it was armed
    _Atomic uint32_t for_ever;
    _Atomic uint32_t fired;
    _Atomic uint64_t counts[KINDS];
    _Atomic uint32_t fired_in_lmdb;
};

static struct control *control;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("OTPD_FAULT_CONTROL");
    if (path == NULL) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (fd < 0) abort();
    void *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED) abort();
    close(fd);
    control = map;
}

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) syscall(SYS_pause);
}

static int is_in_scope(void) {
    uint32_t scope = control->scope;
    if (scope == ALL_THREADS) return 1;
    char name[16] = "";
    prctl(PR_GET_NAME, name);
    return (strcmp(name, "otpd-checkpoint") == 0) == (scope == CHECKPOINTER);
}

static int ends_with(const char *text, size_t count, const char *end) {
    size_t length = strlen(end);
    return count >= length && memcmp(text + count - length, end, length) == 0;
}

static int has_name(int fd, const char *start, const char *end) {
    char link[40], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t count = readlink(link, path, sizeof path);
    return count > 0 && strncmp(path, start, strlen(start)) == 0 && ends_with(path, (size_t)count, end);
}

// libdispatch looks at its threads' state in /proc/<thread>/stat and traps when it can't; no disk fails there.
static int is_of_libdispatch(const char *path) {
    return strncmp(path, "/proc/", 6) == 0 && ends_with(path, strlen(path), "/stat");
}

// What to do to this call; kills by itself before it. `fd`: -1 if the call has names alone.
static enum fault next_fault(enum kind kind, int fd) {
    if (control == NULL || !control->armed || !is_in_scope()) return NONE;
    uint64_t number = atomic_fetch_add(&control->counts[kind], 1) + 1;
    if (kind != control->kind || number < control->nth) return NONE;
    if (number > control->nth && !control->for_ever) return NONE;
    enum fault fault = control->fault;
    // An interruption for ever would be an endless loop in any correct program, and of every other call in one that begins two calls
    // anew when the second is interrupted: every third.
    if (fault == INTERRUPTED && (number - control->nth) % 3 != 0) return NONE;
    atomic_fetch_add(&control->fired, 1);
    if (fd >= 0 && has_name(fd, "/", ".mdb")) atomic_fetch_add(&control->fired_in_lmdb, 1);
    if (fault == KILL_BEFORE) die();
    if (fault == SLOW) {
        struct timespec nap = {0, 100000000};
        nanosleep(&nap, NULL);
        return NONE;
    }
    return fault;
}

static int is_error(enum fault fault) {
    switch (fault) {
    case IO_ERROR: errno = EIO; return 1;
    case NO_SPACE: errno = ENOSPC; return 1;
    case INTERRUPTED: errno = EINTR; return 1;
    default: return 0;
    }
}

static void after(enum fault fault) {
    if (fault == KILL_AFTER) die();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

// Files and sockets are kinds of their own; the standard streams none.
static int kind_of(int fd, enum kind file, enum kind socket, enum kind *kind) {
    struct stat info;
    if (control == NULL || fd <= 2 || fstat(fd, &info) != 0) return 0;
    if (S_ISREG(info.st_mode)) *kind = file;
    else if (S_ISSOCK(info.st_mode)) *kind = socket;
    else return 0;
    return !has_name(fd, "/proc/", "/stat");
}

static size_t part(size_t count) { return count > 1 ? count / 2 : count; }

ssize_t write(int fd, const void *bytes, size_t count) {
    enum kind kind;
    enum fault fault = kind_of(fd, WRITE, SEND, &kind) ? next_fault(kind, fd) : NONE;
    if (is_error(fault)) return -1;
    ssize_t done = REAL(write)(fd, bytes, fault == SHORT ? part(count) : count);
    after(fault);
    return done;
}

static ssize_t any_pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    enum kind kind;
    enum fault fault = kind_of(fd, PWRITE, SEND, &kind) ? next_fault(kind, fd) : NONE;
    if (is_error(fault)) return -1;
    ssize_t done = REAL(pwrite)(fd, bytes, fault == SHORT ? part(count) : count, offset);
    after(fault);
    return done;
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) { return any_pwrite(fd, bytes, count, offset); }
ssize_t pwrite64(int fd, const void *bytes, size_t count, off_t offset) { return any_pwrite(fd, bytes, count, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
    enum kind kind;
    enum fault fault = kind_of(fd, WRITEV, SEND, &kind) ? next_fault(kind, fd) : NONE;
    if (is_error(fault)) return -1;
    ssize_t done;
    if (fault == SHORT && count > 1) done = REAL(writev)(fd, parts, count - 1);
    else if (fault == SHORT && count == 1) done = REAL(write)(fd, parts[0].iov_base, part(parts[0].iov_len));
    else done = REAL(writev)(fd, parts, count);
    after(fault);
    return done;
}

ssize_t read(int fd, void *bytes, size_t count) {
    enum kind kind;
    enum fault fault = kind_of(fd, READ, RECEIVE, &kind) ? next_fault(kind, fd) : NONE;
    if (is_error(fault)) return -1;
    ssize_t done = REAL(read)(fd, bytes, fault == SHORT ? part(count) : count);
    after(fault);
    return done;
}

static ssize_t any_pread(int fd, void *bytes, size_t count, off_t offset) {
    enum kind kind;
    enum fault fault = kind_of(fd, READ, RECEIVE, &kind) ? next_fault(kind, fd) : NONE;
    if (is_error(fault)) return -1;
    ssize_t done = REAL(pread)(fd, bytes, fault == SHORT ? part(count) : count, offset);
    after(fault);
    return done;
}
ssize_t pread(int fd, void *bytes, size_t count, off_t offset) { return any_pread(fd, bytes, count, offset); }
ssize_t pread64(int fd, void *bytes, size_t count, off_t offset) { return any_pread(fd, bytes, count, offset); }

#define PLAIN(KIND, FD, name, parameters, arguments)                \
    int name parameters {                                           \
        enum fault fault = next_fault(KIND, FD);                    \
        if (is_error(fault)) return -1;                             \
        int result = REAL(name) arguments;                          \
        after(fault);                                               \
        return result;                                              \
    }
PLAIN(FDATASYNC, fd, fdatasync, (int fd), (fd))
PLAIN(FSYNC, fd, fsync, (int fd), (fd))
PLAIN(RENAME, -1, rename, (const char *from, const char *to), (from, to))
PLAIN(RENAME, -1, renameat2, (int at, const char *from, int to_at, const char *to, unsigned flags), (at, from, to_at, to, flags))
PLAIN(UNLINK, -1, unlink, (const char *path), (path))
PLAIN(MKDIR, -1, mkdir, (const char *path, mode_t mode), (path, mode))
PLAIN(FALLOCATE, fd, fallocate, (int fd, int mode, off_t offset, off_t count), (fd, mode, offset, count))

// The boot id as the harness wants it, in a file that only this process sees.
static int forged_boot_id(void) {
    char text[64];
    uint64_t high = control->boot_id[0], low = control->boot_id[1];
    int count = snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx\n", (unsigned)(high >> 32),
                         (unsigned)(high >> 16 & 0xFFFF), (unsigned)(high & 0xFFFF), (unsigned)(low >> 48),
                         (unsigned long long)(low & 0xFFFFFFFFFFFFull));
    int fd = memfd_create("boot_id", MFD_CLOEXEC);
    if (fd < 0 || REAL(write)(fd, text, (size_t)count) != count || lseek(fd, 0, SEEK_SET) != 0) abort();
    return fd;
}

static int any_open(const char *path, int flags, mode_t mode) {
    if (control != NULL && (control->boot_id[0] | control->boot_id[1]) != 0
        && strcmp(path, "/proc/sys/kernel/random/boot_id") == 0)
        return forged_boot_id();
    enum fault fault = is_of_libdispatch(path) ? NONE : next_fault(OPEN, -1);
    if (is_error(fault)) return -1;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    after(fault);
    return fd;
}

static mode_t mode_of(int flags, va_list list) {
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(list, mode_t) : 0;
}
int open(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return any_open(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    va_list list;
    va_start(list, flags);
    mode_t mode = mode_of(flags, list);
    va_end(list);
    return any_open(path, flags, mode);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (control == NULL || result != 0) return result;
    int64_t shift = clock == CLOCK_REALTIME ? control->realtime_shift_ns : clock == CLOCK_BOOTTIME ? control->boottime_shift_ns : 0;
    if (shift == 0) return 0;
    int64_t total = now->tv_nsec + shift % 1000000000;
    int64_t seconds = now->tv_sec + shift / 1000000000;
    if (total < 0) total += 1000000000, seconds -= 1;
    if (total >= 1000000000) total -= 1000000000, seconds += 1;
    now->tv_sec = seconds;
    now->tv_nsec = total;
    return 0;
}
