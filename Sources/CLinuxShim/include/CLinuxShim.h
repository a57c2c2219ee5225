// What Swift's Glibc overlay can't reach: variadic calls, macros, and structures behind _GNU_SOURCE.
// Every function returns 0 (or the value asked for), or -errno. None allocates.
#ifndef CLINUXSHIM_H
#define CLINUXSHIM_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// prctl(PR_SET_PDEATHSIG, signal): this process gets `signal` when its parent dies.
int linux_die_with_parent(int signal);
/// A crash of this process shows nothing of its memory: no core dump, no ptrace by the same user (PR_SET_DUMPABLE 0, RLIMIT_CORE 0), and
/// none of the registers, memory and backtrace that Swift's runtime prints. Whatever SWIFT_BACKTRACE says, the runtime's handlers of
/// fatal signals are taken out again. Each program calls it first in `main`: the runtime put them in before.
int linux_crash_silently(void);

/// While a line is set, SIGSEGV, SIGBUS and SIGFPE write it to standard error before the process dies of them: for
/// work on a file that somebody else's code maps and trusts. NULL takes it back. One at a time in a process.
void linux_say_at_crash(const char *line);
/// Overwrites the part of the stack that calls before this one used and left. What they had in variables were codes and states of keys.
void linux_wipe_stack(void);
/// madvise(MADV_DONTDUMP): keeps `length` bytes at a page boundary out of core dumps.
int linux_dont_dump(void *address, size_t length);
/// SO_PEERCRED of a connected Unix socket: who was at the other end when it connected.
int linux_peer_credentials(int fd, pid_t *pid, uid_t *uid, gid_t *gid);
/// open(2), a variadic; O_CLOEXEC is always added, an interrupted one is repeated. Returns a descriptor.
int linux_open(const char *path, int flags, mode_t mode);
/// renameat2(2) with RENAME_NOREPLACE: -EEXIST when `to` is there.
int linux_rename_new(const char *from, const char *to);
/// fallocate(2) with FALLOC_FL_KEEP_SIZE: disk space for a part of a file that may lie beyond its end.
int linux_reserve(int fd, off_t offset, off_t length);
/// flock(2) LOCK_EX | LOCK_NB.
int linux_lock_exclusive(int fd);
/// CLOCK_BOOTTIME and CLOCK_REALTIME, in nanoseconds. CLOCK_BOOTTIME goes on while the machine sleeps.
uint64_t linux_boottime_nanos(void);
uint64_t linux_realtime_nanos(void);
/// CRC-32C (RFC 3720 B.4) of `length` bytes by the processor's own instruction, going on from `crc`; 0 and nothing done when it has none.
int linux_crc32c(uint32_t *crc, const void *bytes, size_t length);
/// CLOCK_MONOTONIC in nanoseconds.
uint64_t linux_monotonic_nanos(void);
/// posix_spawn of `argv[0]` with `environment`; the child gets SIGTERM when this process dies, and only descriptors 0-2.
/// Returns the pid.
pid_t linux_spawn(char *const argv[], char *const environment[]);
/// Raises RLIMIT_NOFILE to its hard limit where that is allowed; returns how many descriptors this process may have.
long linux_raise_descriptor_limit(void);
/// pthread_setname_np(3): up to 15 characters, seen in `top -H`.
int linux_name_thread(pthread_t thread, const char *name);
/// Lowers the calling thread's priority: its nice value. 0, or -errno.
int linux_yield_to_others(int nice);
/// Blocks SIGTERM and SIGINT and returns a signalfd(2) that becomes readable when one comes.
int linux_stop_signals(void);
/// A connected, close-on-exec Unix stream socket.
int linux_connect(const char *path);
/// A listening, non-blocking, close-on-exec Unix stream socket, bound at `path`.
int linux_listen(const char *path, int backlog);
/// A connection that waits at `listener`, non-blocking and close-on-exec, and the uid of who connected; -EAGAIN: none waits.
int linux_accept(int listener, uid_t *uid);
/// recv(2) without waiting: bytes, 0 = the peer has closed.
ssize_t linux_receive(int fd, void *buffer, size_t length);
/// send(2) without waiting and without SIGPIPE: bytes taken.
ssize_t linux_send(int fd, const void *bytes, size_t length);

/// What epoll(7) tells of one descriptor. `token` is the caller's.
struct linux_readiness {
    uint32_t token;
    /// Input, or the peer's end of it.
    uint8_t can_read;
    uint8_t can_write;
    /// Both directions are closed, or it failed: there will be no more.
    uint8_t is_over;
};
/// epoll_create1(2), close-on-exec.
int linux_poll_create(void);
/// Watches `fd` from now on, level-triggered.
int linux_poll_add(int poll, int fd, uint32_t token, int reads, int writes);
/// Changes what is looked for.
int linux_poll_change(int poll, int fd, uint32_t token, int reads, int writes);
/// Waits up to `milliseconds`; how many of `ready` it filled, up to `capacity` and 256. An interrupted one counts as nothing.
int linux_poll_wait(int poll, struct linux_readiness *ready, int capacity, int milliseconds);
/// eventfd(2), non-blocking: readable once `linux_ring` was called, until `linux_hear`.
int linux_bell(void);
void linux_ring(int bell);
void linux_hear(int bell);

/// One message to systemd's notify socket ($NOTIFY_SOCKET); 0 when there is none.
int linux_notify(const char *message);

#endif
