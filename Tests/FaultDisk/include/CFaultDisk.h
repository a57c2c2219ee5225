// A disk that tells what a power cut would leave.
//
// An executable that links this target has the file calls of libc (and so those of liblmdb) led through here. Files under the watched
// folder, which lives on a tmpfs, are written at once, as the page cache is; what isn't synced yet is remembered, so that the folder can
// be put back to what a disk would hold after a crash: all that was synced, and of the rest any part, torn at sectors, in any order.
//
// The model, on purpose harsher than ext4:
// - fsync and fdatasync of a file make its data and its size durable, never its name; of a folder: the names in it.
// - A write through an O_DSYNC descriptor makes its own range durable, nothing else of the file.
// - Unsynced writes survive or not, each alone; one that spans 512-byte sectors may survive in part; an extension may survive without
//   its data (zeros). A rename is atomic. Renames of one file keep their order, other changes of a folder don't.
// - A sync that failed leaves its data in doubt for ever: a later sync that succeeds doesn't save it (Linux drops the dirty marks).
#ifndef CFAULTDISK_H
#define CFAULTDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// Watches a folder (absolute path) and all below it; what is there now counts as durable. Forgets what was watched before.
void fault_disk_watch(const char *folder);
/// Watches nothing; every call passes through.
void fault_disk_stop(void);

/// Removes what is in a folder, past any watching.
void fault_disk_empty(const char *folder);

/// Watched calls so far that change anything (write, sync, create, rename, unlink, mkdir, rmdir, truncate).
uint64_t fault_disk_calls(void);
/// The power goes when the call with this number begins (or, for a write, in its middle): from there on every call seems to succeed,
/// and nothing becomes durable any more. The next call has the number `fault_disk_calls() + 1`. UINT64_MAX = never.
void fault_disk_crash_at(uint64_t call);
/// The power is off.
bool fault_disk_is_off(void);
void fault_disk_power_off(void);

/// Calls of a kind that fail from now on. mkdir counts as an open, rmdir as an unlink, a truncation as a write;
/// for ENOSPC and EDQUOT fallocate too, which has no number of its own.
enum { FAULT_WRITE = 1, FAULT_SYNC = 2, FAULT_OPEN = 4, FAULT_RENAME = 8, FAULT_UNLINK = 16 };
/// The `nth` (from 1) call from now whose kind is in `kinds` fails with `error` (an errno; 0 with FAULT_WRITE = a short write, which is
/// honest); `forever`: so do all after it.
void fault_disk_fail(uint32_t kinds, uint64_t nth, int error, bool forever);
void fault_disk_mend(void);

/// What becomes of unsynced changes at a crash. Of the last five, `seed` says which: ONE_LOST and ONE_KEPT take the change number
/// `seed` modulo their count, PREFIX keeps the first `seed` modulo (count + 1). TORN tears one write at sectors of 512 bytes;
/// TORN_WORDS at 8 bytes, which an honest disk doesn't do: only detection can be asked for.
enum {
    CRASH_ALL_LOST = 0,
    CRASH_ALL_KEPT = 1,
    CRASH_SUBSET = 2,
    CRASH_TORN = 3,
    CRASH_ONE_LOST = 4,
    CRASH_ONE_KEPT = 5,
    CRASH_PREFIX = 6,
    CRASH_TORN_WORDS = 7,
};
enum {
    /// Of `fault_log_build` alone: the process dies, the power stays on. Everything written is there to see, and what wasn't synced still
    /// can be lost.
    CRASH_KILLED = 8,
};
/// Puts the watched folder into a state that a disk may be in after the power cut; `seed` chooses. All descriptors and maps of it must
/// be closed. Then the power is on again and what is there is durable. Returns the number of unsynced changes that there were.
uint64_t fault_disk_crash(uint32_t how, uint64_t seed);
/// The process died, not the machine: all that was written before the power went "off" is there, and no more durable than it was; a
/// later crash may still lose it. Descriptors and maps must be closed.
void fault_disk_kill(void);

/// `hook(context, call)` runs before each watched call that changes anything (and before some that don't), on its thread, with nothing
/// locked: a place to let another thread go on. `call` is the number of the next one that counts. NULL = none.
void fault_disk_on_call(void (*hook)(void *context, uint64_t call), void *context);

/// Runs `body(context)` in a child process that may die of what it meets; silent on the standard error. Returns what `body` returned
/// (0…255), or minus the signal that ended it. Of a process with one thread.
int fault_disk_in_child(int (*body)(void *context), void *context);

// A recording: every change and sync of a run, so that the crash states of each of its moments can be made later.

/// Starts a recording of the watched folder, from the disk's state at this moment.
void fault_disk_record(void);
/// Puts a mark into the recording, for instance "this was acknowledged".
void fault_disk_mark(uint64_t mark);

struct fault_log;
/// Ends the recording. The log belongs to the caller; it stands before its first entry.
struct fault_log *fault_disk_take_log(void);
void fault_log_free(struct fault_log *log);
size_t fault_log_length(const struct fault_log *log);
/// Whether entry `index` is a mark; `*mark` is its number then.
bool fault_log_mark(const struct fault_log *log, size_t index, uint64_t *mark);
/// What entry `index` is, in words for people.
void fault_log_describe(const struct fault_log *log, size_t index, char *out, size_t capacity);
/// Goes to the moment after the first `length` entries; cheap forwards, from the beginning again backwards.
void fault_log_seek(struct fault_log *log, size_t length);
/// If the next entry is a write through O_DSYNC: it is under way from here until the next seek, and may be lost or torn. False = it isn't
/// one, and nothing changes.
bool fault_log_begin_next(struct fault_log *log);
/// Unsynced changes at this moment.
size_t fault_log_pending(const struct fault_log *log);
/// A number for the disk that this crash would leave: equal states have equal numbers. Nothing is written.
uint64_t fault_log_hash(const struct fault_log *log, uint32_t how, uint64_t seed);
/// Makes `folder` (absolute; what is in it goes) that disk, and watches it: all of it durable.
void fault_log_build(const struct fault_log *log, uint32_t how, uint64_t seed, const char *folder);

#endif
