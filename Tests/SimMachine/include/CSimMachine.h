// The simulated machine: what otpd asks libc and libcrypto for beside its files.
//
// An executable that links this target gets its random bytes from a seed, and its clocks and free space from these numbers. No
// release binary may link it: `scripts/check-release-symbols.sh` looks.
#ifndef CSIMMACHINE_H
#define CSIMMACHINE_H

#include <stdint.h>

/// Random bytes from here on are a function of the seed.
void sim_machine_seed(uint64_t seed);
/// CLOCK_REALTIME, CLOCK_BOOTTIME and CLOCK_MONOTONIC, nanoseconds.
void sim_machine_set_clocks(uint64_t realtime, uint64_t boottime);
/// What statvfs says is free.
void sim_machine_set_free_bytes(uint64_t bytes);
/// The real CLOCK_MONOTONIC, for the simulation's own figures.
uint64_t sim_machine_real_nanos(void);
/// The allocator keeps what is freed.
void sim_machine_keep_memory(void);

#endif
