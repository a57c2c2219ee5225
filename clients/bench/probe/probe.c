// LD_PRELOAD of a measured server: counts what it asks of malloc and of the kernel, per thread, in a file that the bench maps;
// and, for --slow-disk, lengthens every sync. Counts are what a regression gate can hold on a busy machine; times are not.
//
//   OTP_PROBE=FILE           a file of at least sizeof(struct page), mapped shared
//   OTP_SLOW_SYNC_US=N       each fdatasync, fsync and msync(MS_SYNC) takes N microseconds longer
//
// Calls that libc makes inside itself (futex, brk, the vDSO's clock) aren't counted. The layout below is read by Probe.swift.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 32, MAX_FDS = 65536 };
enum counter {
    ALLOCATIONS, ALLOCATED_BYTES, READS, WRITES, POLLS, SYNCS, OTHER_CALLS, JOURNAL_BYTES, TREE_BYTES, FILE_BYTES, SYNC_NANOS, COUNTERS
};

struct page {
    _Atomic uint64_t threads;
    struct {
        _Atomic uint64_t tid;
        _Atomic uint64_t counters[COUNTERS];
    } thread[THREADS];
};

static struct page nowhere, *page = &nowhere;
static long slow_micros;
static char kinds[MAX_FDS];  // 0 not looked at, 'j' journal, 't' LMDB's tree, 'f' another file, 's' not a file
static __thread int slot = -1;

__attribute__((constructor)) static void begin(void) {
    const char *slow = getenv("OTP_SLOW_SYNC_US"), *path = getenv("OTP_PROBE");
    if (slow) slow_micros = atol(slow);
    if (!path) return;
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *mapped = mmap(NULL, sizeof(struct page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped != MAP_FAILED) page = mapped;
    slot = -1;
}

static void count(enum counter counter, uint64_t amount) {
    if (slot < 0) {
        uint64_t mine = atomic_fetch_add(&page->threads, 1);
        slot = mine < THREADS ? (int)mine : THREADS - 1;
        atomic_store(&page->thread[slot].tid, (uint64_t)syscall(SYS_gettid));
    }
    atomic_fetch_add_explicit(&page->thread[slot].counters[counter], amount, memory_order_relaxed);
}

static void count_written(int fd, ssize_t bytes) {
    if (bytes <= 0 || fd < 0 || fd >= MAX_FDS) return;
    if (kinds[fd] == 0) {
        char link[64], target[512];
        char *end = link;
        memcpy(end, "/proc/self/fd/", 14), end += 14;
        char digits[12];
        int n = 0, rest = fd;
        do digits[n++] = (char)('0' + rest % 10); while (rest /= 10);
        while (n) *end++ = digits[--n];
        *end = 0;
        ssize_t length = readlink(link, target, sizeof target - 1);
        target[length < 0 ? 0 : length] = 0;
        kinds[fd] = target[0] != '/' ? 's' : strstr(target, ".mdb") ? 't' : strstr(target, "journal") ? 'j' : 'f';
    }
    if (kinds[fd] == 's') return;
    count(kinds[fd] == 'j' ? JOURNAL_BYTES : kinds[fd] == 't' ? TREE_BYTES : FILE_BYTES, (uint64_t)bytes);
}

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

// malloc's own entry points: dlsym could allocate, so glibc's other names are used.
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
static void count_allocation(size_t bytes) { count(ALLOCATIONS, 1), count(ALLOCATED_BYTES, bytes); }
void *malloc(size_t n) { return count_allocation(n), __libc_malloc(n); }
void *calloc(size_t m, size_t n) { return count_allocation(m * n), __libc_calloc(m, n); }
void *realloc(void *p, size_t n) { return count_allocation(n), __libc_realloc(p, n); }
void *aligned_alloc(size_t a, size_t n) { return count_allocation(n), __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) { return count_allocation(n), (*p = __libc_memalign(a, n)) ? 0 : 12; }

ssize_t read(int fd, void *p, size_t n) { REAL(read); return count(READS, 1), real(fd, p, n); }
ssize_t readv(int fd, const struct iovec *v, int n) { REAL(readv); return count(READS, 1), real(fd, v, n); }
ssize_t pread(int fd, void *p, size_t n, off_t at) { REAL(pread); return count(READS, 1), real(fd, p, n, at); }
ssize_t recv(int fd, void *p, size_t n, int f) { REAL(recv); return count(READS, 1), real(fd, p, n, f); }
ssize_t recvmsg(int fd, struct msghdr *m, int f) { REAL(recvmsg); return count(READS, 1), real(fd, m, f); }

#define WRITE(call) ssize_t done = call; count(WRITES, 1), count_written(fd, done); return done
ssize_t write(int fd, const void *p, size_t n) { REAL(write); WRITE(real(fd, p, n)); }
ssize_t writev(int fd, const struct iovec *v, int n) { REAL(writev); WRITE(real(fd, v, n)); }
ssize_t pwrite(int fd, const void *p, size_t n, off_t at) { REAL(pwrite); WRITE(real(fd, p, n, at)); }
ssize_t pwrite64(int fd, const void *p, size_t n, off_t at) { REAL(pwrite64); WRITE(real(fd, p, n, at)); }
ssize_t pwritev(int fd, const struct iovec *v, int n, off_t at) { REAL(pwritev); WRITE(real(fd, v, n, at)); }
ssize_t send(int fd, const void *p, size_t n, int f) { REAL(send); return count(WRITES, 1), real(fd, p, n, f); }
ssize_t sendmsg(int fd, const struct msghdr *m, int f) { REAL(sendmsg); return count(WRITES, 1), real(fd, m, f); }

int epoll_wait(int fd, struct epoll_event *e, int n, int t) { REAL(epoll_wait); return count(POLLS, 1), real(fd, e, n, t); }
int epoll_pwait2(int fd, struct epoll_event *e, int n, const struct timespec *t, const sigset_t *s) {
    REAL(epoll_pwait2);
    return count(POLLS, 1), real(fd, e, n, t, s);
}
int epoll_ctl(int fd, int op, int of, struct epoll_event *e) { REAL(epoll_ctl); return count(OTHER_CALLS, 1), real(fd, op, of, e); }
int timerfd_settime(int fd, int f, const struct itimerspec *n, struct itimerspec *o) {
    REAL(timerfd_settime);
    return count(OTHER_CALLS, 1), real(fd, f, n, o);
}
ssize_t getrandom(void *p, size_t n, unsigned f) { REAL(getrandom); return count(OTHER_CALLS, 1), real(p, n, f); }
int close(int fd) {
    REAL(close);
    if (fd >= 0 && fd < MAX_FDS) kinds[fd] = 0;
    return count(OTHER_CALLS, 1), real(fd);
}

static uint64_t nanos(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}
static void linger(void) {
    if (slow_micros <= 0) return;
    struct timespec pause = {slow_micros / 1000000, slow_micros % 1000000 * 1000};
    while (nanosleep(&pause, &pause) != 0) {}
}
#define SYNC(call) uint64_t start = nanos(); linger(); int result = call; \
    count(SYNCS, 1), count(SYNC_NANOS, nanos() - start); return result
int fdatasync(int fd) { REAL(fdatasync); SYNC(real(fd)); }
int fsync(int fd) { REAL(fsync); SYNC(real(fd)); }
int msync(void *p, size_t n, int f) { REAL(msync); SYNC(real(p, n, f)); }
