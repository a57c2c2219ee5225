#include "CFaultDisk.h"
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct live live = {.mutex = PTHREAD_MUTEX_INITIALIZER, .crash_at = UINT64_MAX};

static void lock(void) { pthread_mutex_lock(&live.mutex); }
static void unlock(void) { pthread_mutex_unlock(&live.mutex); }

static void forget_descriptors(void) {
    for (int fd = 0; fd < DESCRIPTORS; fd++) live.descriptors[fd].node = 0;
}

static void forget(void) {
    if (live.is_watching) {
        disk_free(&live.disk);
        free(live.names.entries);
        live.names = (struct tree){0};
    }
    if (live.log != NULL) fault_log_free(live.log);
    live.log = NULL;
    live.is_watching = live.is_off = false;
    live.crash_at = UINT64_MAX;
    live.calls = 0;
    live.fail_kinds = 0;
    forget_descriptors();
}

/// Takes over `disk` as what holds `folder`, in which the process sees `names`.
static void adopt(struct disk *disk, const struct tree *names, const char *folder) {
    size_t bytes = strlen(folder);
    while (bytes > 1 && folder[bytes - 1] == '/') bytes--;
    if (folder[0] != '/' || bytes >= sizeof live.root) {
        fprintf(stderr, "fault disk: the folder's path must be absolute and short: %s\n", folder);
        abort();
    }
    memmove(live.root, folder, bytes);
    live.root[bytes] = '\0';
    live.root_bytes = bytes;
    live.disk = *disk;
    tree_copy(&live.names, names);
    live.is_watching = true;
}

void fault_disk_watch(const char *folder) {
    lock();
    forget();
    struct disk disk;
    disk_scan(&disk, folder);
    adopt(&disk, &disk.names, folder);
    unlock();
}

void fault_disk_stop(void) {
    lock();
    forget();
    live.hook = NULL;
    unlock();
}

uint64_t fault_disk_calls(void) {
    lock();
    uint64_t calls = live.calls;
    unlock();
    return calls;
}

void fault_disk_crash_at(uint64_t call) {
    lock();
    live.crash_at = call;
    unlock();
}

bool fault_disk_is_off(void) {
    lock();
    bool is_off = live.is_off;
    unlock();
    return is_off;
}

void fault_disk_power_off(void) {
    lock();
    live.is_off = true;
    unlock();
}

void fault_disk_fail(uint32_t kinds, uint64_t nth, int error, bool forever) {
    lock();
    live.fail_kinds = kinds;
    live.fail_in = nth;
    live.fail_error = error;
    live.fails_forever = forever;
    unlock();
}

void fault_disk_mend(void) { fault_disk_fail(0, 0, 0, false); }

void fault_disk_on_call(void (*hook)(void *context, uint64_t call), void *context) {
    lock();
    live.hook = hook;
    live.hook_context = context;
    unlock();
}

uint64_t fault_disk_crash(uint32_t how, uint64_t seed) {
    lock();
    if (!live.is_watching) {
        fprintf(stderr, "fault disk: a crash, but nothing is watched\n");
        abort();
    }
    struct disk image;
    uint64_t count = disk_free_count(&live.disk), calls = live.calls;
    disk_crash(&live.disk, how, seed, &image);
    disk_write_out(&image, live.root);
    forget();
    live.calls = calls;
    adopt(&image, &image.names, live.root);
    unlock();
    return count;
}

void fault_disk_kill(void) {
    lock();
    struct disk image;
    disk_crash(&live.disk, CRASH_ALL_KEPT, 0, &image);
    disk_write_out(&image, live.root);
    disk_free(&image);
    live.is_off = false;
    live.crash_at = UINT64_MAX;
    live.fail_kinds = 0;
    forget_descriptors();
    unlock();
}

void fault_log_build(const struct fault_log *log, uint32_t how, uint64_t seed, const char *folder) {
    struct disk seen, image;
    disk_crash(log_disk(log), how == CRASH_KILLED ? CRASH_ALL_KEPT : how, seed, &seen);
    lock();
    forget();
    disk_write_out(&seen, folder);
    if (how == CRASH_KILLED) {
        disk_copy(&image, log_disk(log));
        adopt(&image, &seen.names, folder);
        disk_free(&seen);
    } else {
        adopt(&seen, &seen.names, folder);
    }
    unlock();
}

void fault_disk_record(void) {
    lock();
    if (live.log != NULL) fault_log_free(live.log);
    live.log = log_make(&live.disk);
    unlock();
}

void fault_disk_mark(uint64_t mark) {
    struct op *op = op_make(OP_MARK);
    op->offset = mark;
    lock();
    if (live.log != NULL && !live.is_off) log_append(live.log, op);
    unlock();
    op_release(op);
}

struct fault_log *fault_disk_take_log(void) {
    lock();
    struct fault_log *log = live.log;
    live.log = NULL;
    unlock();
    if (log != NULL) fault_log_seek(log, 0);
    return log;
}

// Of the interposed calls.

void live_announce(void) {
    if (!live.is_watching) return;
    lock();
    void (*hook)(void *, uint64_t) = live.is_off ? NULL : live.hook;
    void *context = live.hook_context;
    uint64_t next = live.calls + 1;
    unlock();
    if (hook != NULL) hook(context, next);
}

struct step live_begin(uint32_t kind) {
    struct step step = {.is_watched = live.is_watching && !live.is_off};
    if (!step.is_watched) return step;
    live.calls++;
    step.is_last = live.calls >= live.crash_at;
    if ((live.fail_kinds & kind) == 0) return step;
    if (live.fail_in > 1) {
        live.fail_in--;
        return step;
    }
    step.error = live.fail_error;
    step.is_short = live.fail_error == 0 && (kind & FAULT_WRITE);
    if (!live.fails_forever) live.fail_kinds = 0;
    return step;
}

void live_record(struct op *op, const struct step *step) {
    if (step->is_last) op->is_durable = false;
    bool is_sync = op->kind == OP_SYNC || op->kind == OP_SYNC_FAILED;
    if (!(step->is_last && is_sync)) {
        disk_apply(&live.disk, op);
        if (live.log != NULL) log_append(live.log, op);
    }
    op_release(op);
    if (step->is_last) live.is_off = true;
}

struct place live_find(const char *path) {
    struct place place = {0};
    if (!live.is_watching || live.is_off || strncmp(path, live.root, live.root_bytes) != 0) return place;
    const char *at = path + live.root_bytes;
    if (*at != '/' && *at != '\0') return place;
    at += strspn(at, "/");
    place.exists = true;
    while (*at != '\0') {
        if (!place.exists) return place;
        place.folder = place.node;
        size_t bytes = strcspn(at, "/");
        if (bytes >= NAME_BYTES) return place;
        memcpy(place.name, at, bytes);
        place.name[bytes] = '\0';
        const struct entry *entry = tree_find(&live.names, place.folder, place.name);
        place.exists = entry != NULL;
        place.node = entry != NULL ? entry->node : 0;
        at += bytes;
        at += strspn(at, "/");
    }
    place.is_watched = true;
    return place;
}
