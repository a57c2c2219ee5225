#define _GNU_SOURCE
#include "CLinuxShim.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int linux_die_with_parent(int signal) { return prctl(PR_SET_PDEATHSIG, signal) == 0 ? 0 : -errno; }

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#endif

int linux_crash_silently(void) {
#ifndef HAS_SANITIZER  // Theirs are for tests, and report what they find.
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGQUIT, SIGSYS};
    for (size_t i = 0; i < sizeof fatal / sizeof fatal[0]; i++) signal(fatal[i], SIG_DFL);
#endif
    struct rlimit none = {0, 0};
    if (setrlimit(RLIMIT_CORE, &none) != 0) return -errno;
    return prctl(PR_SET_DUMPABLE, 0) == 0 ? 0 : -errno;
}

static const int crashes[] = {SIGSEGV, SIGBUS, SIGFPE};
enum { CRASHES = sizeof crashes / sizeof crashes[0] };
static struct sigaction former[CRASHES];
static char crash_line[1024];
static size_t crash_length;

static void say_crash(int signal) {
    (void)signal;
    if (write(STDERR_FILENO, crash_line, crash_length) < 0) return;
}

void linux_say_at_crash(const char *line) {
    if (line != NULL) {
        crash_length = strnlen(line, sizeof crash_line);
        memcpy(crash_line, line, crash_length);
        // What crashed does it again when the handler returns, and dies as it would have.
        struct sigaction action = {.sa_handler = say_crash, .sa_flags = SA_RESETHAND | SA_NODEFER};
        for (size_t i = 0; i < CRASHES; i++) sigaction(crashes[i], &action, &former[i]);
    } else {
        for (size_t i = 0; i < CRASHES; i++) sigaction(crashes[i], &former[i], NULL);
    }
}

__attribute__((noinline)) void linux_wipe_stack(void) {
    enum { PAGE = 4096, PAGES = 64 };
    // More than the deepest way of a request takes; a thread's stack has 8 MiB. From the caller's frame downwards, until four pages are
    // zeros as the wipe before this one left them: that is as far as anybody has been since.
    uint64_t left[PAGES * PAGE / 8];
    uint64_t *end = left + PAGES * PAGE / 8;
    __asm__ volatile("" : "+r"(end) : : "memory");
    for (int page = 0, quiet = 0; page < PAGES && quiet < 4; page++) {
        uint64_t any = 0;
        end -= PAGE / 8;
        for (int i = 0; i < PAGE / 8; i++) any |= end[i];
        quiet = any == 0 ? quiet + 1 : 0;
        if (any != 0) explicit_bzero(end, PAGE);
    }
}

int linux_dont_dump(void *address, size_t length) {
    return madvise(address, length, MADV_DONTDUMP) == 0 ? 0 : -errno;
}

int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) return -errno;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int linux_open(const char *path, int flags, mode_t mode) {
    int fd;
    do fd = open(path, flags | O_CLOEXEC, mode);
    while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : -errno;
}

int linux_rename_new(const char *from, const char *to) {
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0) return 0;
    if (errno != EINVAL) return -errno;
    // A file system without the flag.
    if (access(to, F_OK) == 0) return -EEXIST;
    return rename(from, to) == 0 ? 0 : -errno;
}

int linux_reserve(int fd, off_t offset, off_t length) {
    int result;
    do result = fallocate(fd, FALLOC_FL_KEEP_SIZE, offset, length);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : -errno;
}

int linux_lock_exclusive(int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 ? 0 : -errno; }

static uint64_t nanos(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t linux_boottime_nanos(void) { return nanos(CLOCK_BOOTTIME); }
uint64_t linux_realtime_nanos(void) { return nanos(CLOCK_REALTIME); }
uint64_t linux_monotonic_nanos(void) { return nanos(CLOCK_MONOTONIC); }

pid_t linux_spawn(char *const argv[], char *const environment[]) {
    pid_t parent = getpid();
    pid_t child = fork();
    if (child < 0) return -errno;
    if (child > 0) return child;
    // Only async-signal-safe calls from here on.
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(127);  // the parent died before the line above
    syscall(SYS_close_range, 3u, ~0u, 0u);
    execve(argv[0], argv, environment);
    _exit(127);
}

long linux_raise_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return -errno;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = before;
    return limit.rlim_cur > 1 << 30 ? 1 << 30 : (long)limit.rlim_cur;
}

int linux_name_thread(pthread_t thread, const char *name) { return -pthread_setname_np(thread, name); }

int linux_yield_to_others(int nice) {
    // Linux keeps a nice value for each thread; glibc has a wrapper for processes alone.
    return setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice) == 0 ? 0 : -errno;
}

int linux_stop_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    if (pthread_sigmask(SIG_BLOCK, &signals, NULL) != 0) return -errno;
    int fd = signalfd(-1, &signals, SFD_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

int linux_connect(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int linux_listen(const char *path, int backlog) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -errno;
    if (bind(fd, (struct sockaddr *)&address, sizeof address) != 0 || listen(fd, backlog) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    return fd;
}

int linux_accept(int listener, uid_t *uid) {
    int fd;
    do fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    if (fd < 0) return -errno;
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0) {
        int error = errno;
        close(fd);
        return -error;
    }
    *uid = peer.uid;
    return fd;
}

ssize_t linux_receive(int fd, void *buffer, size_t length) {
    ssize_t count;
    do count = recv(fd, buffer, length, MSG_DONTWAIT);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -errno;
}

ssize_t linux_send(int fd, const void *bytes, size_t length) {
    ssize_t count;
    do count = send(fd, bytes, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    while (count < 0 && errno == EINTR);
    return count >= 0 ? count : -errno;
}

int linux_poll_create(void) {
    int poll = epoll_create1(EPOLL_CLOEXEC);
    return poll >= 0 ? poll : -errno;
}

static int watch(int operation, int poll, int fd, uint32_t token, int reads, int writes) {
    struct epoll_event event = {.events = (reads ? EPOLLIN : 0u) | (writes ? EPOLLOUT : 0u), .data.u32 = token};
    return epoll_ctl(poll, operation, fd, &event) == 0 ? 0 : -errno;
}

int linux_poll_add(int poll, int fd, uint32_t token, int reads, int writes) {
    return watch(EPOLL_CTL_ADD, poll, fd, token, reads, writes);
}

int linux_poll_change(int poll, int fd, uint32_t token, int reads, int writes) {
    return watch(EPOLL_CTL_MOD, poll, fd, token, reads, writes);
}

int linux_poll_wait(int poll, struct linux_readiness *ready, int capacity, int milliseconds) {
    struct epoll_event events[256];
    int count = epoll_wait(poll, events, capacity < 256 ? capacity : 256, milliseconds);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) {
        uint32_t found = events[i].events;
        ready[i].token = events[i].data.u32;
        ready[i].can_read = (found & EPOLLIN) != 0;
        ready[i].can_write = (found & EPOLLOUT) != 0;
        ready[i].is_over = (found & (EPOLLHUP | EPOLLERR)) != 0;
    }
    return count;
}

int linux_bell(void) {
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return bell >= 0 ? bell : -errno;
}

void linux_ring(int bell) {
    uint64_t one = 1;
    while (write(bell, &one, sizeof one) < 0 && errno == EINTR) {}
}

void linux_hear(int bell) {
    uint64_t count;
    while (read(bell, &count, sizeof count) < 0 && errno == EINTR) {}
}

int linux_notify(const char *message) {
    const char *path = getenv("NOTIFY_SOCKET");
    if (path == NULL || path[0] == '\0') return 0;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) return -ENAMETOOLONG;
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0';
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    ssize_t sent = sendto(fd, message, strlen(message), MSG_NOSIGNAL, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
    int result = sent >= 0 ? 0 : -errno;
    close(fd);
    return result;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_by_instruction(uint64_t crc, const uint8_t *bytes, size_t length) {
    for (; length >= 8; bytes += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        crc = __builtin_ia32_crc32di(crc, word);
    }
    for (; length > 0; bytes++, length--) crc = __builtin_ia32_crc32qi((uint32_t)crc, *bytes);
    return (uint32_t)crc;
}
#endif

int linux_crc32c(uint32_t *crc, const void *bytes, size_t length) {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("sse4.2")) return 0;
    *crc = ~crc32c_by_instruction(~*crc, bytes, length);
    return 1;
#else
    (void)crc, (void)bytes, (void)length;
    return 0;
#endif
}

// Swift's CommandLine reads /proc/self/cmdline, and ends the process where /proc isn't mounted (a chroot, an early boot). The loader gives
// a constructor the same arguments: they are set before anybody asks. The symbol is the standard library's own; without it nothing is set.
extern void _swift_stdlib_overrideUnsafeArgvArgc(char **argv, int argc) __attribute__((weak));

__attribute__((constructor)) static void linux_keep_arguments(int argc, char **argv) {
    if (_swift_stdlib_overrideUnsafeArgvArgc && argc > 0 && argv) _swift_stdlib_overrideUnsafeArgvArgc(argv, argc);
}
