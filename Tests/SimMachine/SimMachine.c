#define _GNU_SOURCE
#include "CSimMachine.h"

#include <malloc.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static uint64_t random_state = 1;
static uint64_t realtime_nanos, boottime_nanos;
static uint64_t free_bytes = 64ull << 30;

void sim_machine_seed(uint64_t seed) { random_state = seed * 2 + 1; }
void sim_machine_set_clocks(uint64_t realtime, uint64_t boottime) {
    realtime_nanos = realtime;
    boottime_nanos = boottime;
}
void sim_machine_set_free_bytes(uint64_t bytes) { free_bytes = bytes; }

uint64_t sim_machine_real_nanos(void) {
    struct timespec now;
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void sim_machine_keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

// SplitMix64 (Steele, Lea, Flood 2014): repeatable, and nothing here is a secret.
static uint64_t next_random(void) {
    uint64_t z = (random_state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

int RAND_bytes(unsigned char *buffer, int count) {
    while (count > 0) {
        uint64_t word = next_random();
        int part = count < 8 ? count : 8;
        memcpy(buffer, &word, (size_t)part);
        buffer += part;
        count -= part;
    }
    return 1;
}

int RAND_priv_bytes(unsigned char *buffer, int count) { return RAND_bytes(buffer, count); }

// Until the simulation sets them, the clocks are the machine's.
int clock_gettime(clockid_t clock, struct timespec *now) {
    if (boottime_nanos == 0) return (int)syscall(SYS_clock_gettime, clock, now);
    uint64_t nanos = clock == CLOCK_REALTIME ? realtime_nanos : boottime_nanos;
    now->tv_sec = (time_t)(nanos / 1000000000u);
    now->tv_nsec = (long)(nanos % 1000000000u);
    return 0;
}

int statvfs(const char *path, struct statvfs *info) {
    (void)path;
    memset(info, 0, sizeof *info);
    info->f_bsize = info->f_frsize = 4096;
    info->f_bfree = info->f_bavail = free_bytes / 4096;
    return 0;
}
