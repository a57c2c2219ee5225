// Swift's Mutex takes and gives back a lock that nobody waits for in inlined code, which ThreadSanitizer sees; one that somebody waits for
// in libswiftSynchronization, which isn't instrumented: what its owners do one after the other then looks like a race. These stand in front
// of those two functions, by their names, and tell ThreadSanitizer; real races stay findings. Another Swift may name them otherwise, and
// then those warnings come back.
#if __has_feature(thread_sanitizer)
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define LOCK_SLOW "$s15Synchronization12_MutexHandleV9_lockSlowyys6UInt32VF"
#define UNLOCK_SLOW "$s15Synchronization12_MutexHandleV11_unlockSlowyyF"
#define SWIFTCALL __attribute__((swiftcall))
#define SELF __attribute__((swift_context))

void __tsan_acquire(void *address);
void __tsan_release(void *address);

SWIFTCALL void mutex_lock_slow(uint32_t thread, SELF void *mutex) __asm__(LOCK_SLOW);
SWIFTCALL void mutex_unlock_slow(SELF void *mutex) __asm__(UNLOCK_SLOW);

static void *library(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found != NULL) return found;
    fprintf(stderr, "libswiftSynchronization has no %s\n", name);
    abort();
}

SWIFTCALL void mutex_lock_slow(uint32_t thread, SELF void *mutex) {
    ((SWIFTCALL void (*)(uint32_t, SELF void *))library(LOCK_SLOW))(thread, mutex);
    __tsan_acquire(mutex);
}

SWIFTCALL void mutex_unlock_slow(SELF void *mutex) {
    __tsan_release(mutex);
    ((SWIFTCALL void (*)(SELF void *))library(UNLOCK_SLOW))(mutex);
}
#endif
