// The watched folder as the process sees it: descriptors, names, the disk behind them, faults to come.
#ifndef FAULT_DISK_LIVE_H
#define FAULT_DISK_LIVE_H

#include "disk.h"

#include <pthread.h>
#include <stdatomic.h>

enum { DESCRIPTORS = 4096 };

struct descriptor {
    // Plus one; 0 = not ours. Any thread's close() sets it, with or without the lock; the others belong to the lock.
    _Atomic uint32_t node;
    bool is_durable, appends;
};

struct live {
    pthread_mutex_t mutex;
    _Atomic bool is_watching, is_off; // looked at before the lock is taken
    char root[1024];
    size_t root_bytes;
    struct disk disk;
    struct tree names;
    struct descriptor descriptors[DESCRIPTORS];
    uint64_t calls, crash_at;
    uint32_t fail_kinds;
    uint64_t fail_in;
    int fail_error;
    bool fails_forever;
    struct fault_log *log;
    void (*hook)(void *, uint64_t);
    void *hook_context;
};
extern struct live live;

/// How a call goes on, decided as it begins.
struct step {
    bool is_watched;
    bool is_last;  // the power goes in it: whatever it does stays unsynced
    bool is_short; // half of it is written
    int error;     // it fails with this errno
};

/// Runs the hook; before the lock is taken.
void live_announce(void);
/// Counts a call of a kind (FAULT_…). Under the lock.
struct step live_begin(uint32_t kind);
/// A change or sync that was carried out: it goes to the disk and into the recording. Takes over `op`. Under the lock.
void live_record(struct op *op, const struct step *step);

/// A path in the watched folder, taken apart: its folder's node and its own name. The watched folder itself has no name.
struct place {
    bool is_watched; // false: the path leads elsewhere, or nowhere
    bool exists;
    uint32_t folder, node;
    char name[NAME_BYTES];
};
struct place live_find(const char *path);

void log_append(struct fault_log *log, struct op *op);
struct fault_log *log_make(const struct disk *base);
const struct disk *log_disk(const struct fault_log *log);

#endif
