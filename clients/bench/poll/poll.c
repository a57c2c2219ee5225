#define _GNU_SOURCE
#include "CBenchPoll.h"

#include <errno.h>
#include <sys/epoll.h>
#include <time.h>

enum { MOST = 256 };

int bench_poll_create(void) {
    int poller = epoll_create1(EPOLL_CLOEXEC);
    return poller >= 0 ? poller : -errno;
}

int bench_poll_add(int poller, int fd, uint32_t key) {
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = key};
    return epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0 ? 0 : -errno;
}

int bench_poll_wait(int poller, uint32_t *keys, int capacity, uint64_t nanos) {
    struct epoll_event events[MOST];
    struct timespec pause = {(time_t)(nanos / 1000000000u), (long)(nanos % 1000000000u)};
    int count = epoll_pwait2(poller, events, capacity < MOST ? capacity : MOST, &pause, NULL);
    if (count < 0) return errno == EINTR ? 0 : -errno;
    for (int i = 0; i < count; i++) keys[i] = events[i].data.u32;
    return count;
}
