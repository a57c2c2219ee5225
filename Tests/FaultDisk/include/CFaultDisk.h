// A disk that tells what a power cut would leave.
//
// An executable that links this target has the file calls of libc (and so those of liblmdb) led through here. Files under the watched
// folder, which lives on a tmpfs, are written at once, as the page cache is; what isn't synced yet is remembered, so that the folder can
// be put back to what a disk would hold after a crash: all that was synced, and of the rest any part, torn at sectors, in any order.
#ifndef CFAULTDISK_H
#define CFAULTDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Watches a folder (absolute path) and all below it; what is there now counts as durable. Forgets what was watched before.
void fault_disk_watch(const char *folder);
/// Watches nothing; every call passes through.
void fault_disk_stop(void);

/// Watched calls so far that change anything (write, sync, create, rename, unlink, mkdir, rmdir, truncate).
uint64_t fault_disk_calls(void);
/// The power goes when the call with this number begins (or, for a write, in its middle): from there on every call seems to succeed,
/// and nothing becomes durable any more. UINT64_MAX = never.
void fault_disk_crash_at(uint64_t call);
/// The power is off.
bool fault_disk_is_off(void);
void fault_disk_power_off(void);

/// Calls of a kind that fail from now on.
enum { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_OPEN = 4, FAULT_RENAME = 8, FAULT_UNLINK = 16 };
/// The `nth` (from 1) call from now whose kind is in `kinds` fails with `error` (an errno; 0 with FAULT_WRITE = a short write, which is
/// honest); `forever`: so do all after it.
void fault_disk_fail(uint32_t kinds, uint64_t nth, int error, bool forever);
void fault_disk_mend(void);

/// What becomes of unsynced data at a crash.
enum { CRASH_ALL_LOST = 0, CRASH_ALL_KEPT = 1, CRASH_SUBSET = 2, CRASH_TORN = 3 };
/// Puts the watched folder into a state that a disk may be in after the power cut; `seed` chooses. All descriptors and maps of it must
/// be closed. Then the power is on again and what is there is durable. Returns the number of unsynced changes that there were.
uint64_t fault_disk_crash(uint32_t how, uint64_t seed);

#endif
