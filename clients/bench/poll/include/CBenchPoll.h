// epoll for the load generator: Swift's Glibc overlay lacks it, and poll(2) is a scan of every connection on each turn.
#ifndef CBENCHPOLL_H
#define CBENCHPOLL_H

#include <stdint.h>

/// A close-on-exec epoll descriptor, or -errno.
int bench_poll_create(void);
/// Watches `fd` for input under `key`; 0 or -errno.
int bench_poll_add(int poller, int fd, uint32_t key);
/// Waits at most `nanos` and stores the keys of those with input; how many, or -errno.
int bench_poll_wait(int poller, uint32_t *keys, int capacity, uint64_t nanos);

#endif
