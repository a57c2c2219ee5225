// libc's file calls, by their own names: an executable's symbols come before those of its shared libraries, liblmdb included.
#define _GNU_SOURCE
#include "CFaultDisk.h"
#include "live.h"
#include "real.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void lock(void) { pthread_mutex_lock(&live.mutex); }
static void unlock(void) { pthread_mutex_unlock(&live.mutex); }

static int failed(int error) {
    errno = error;
    return -1;
}

/// The descriptor's note, if the power is on and it is ours. Without the lock: descriptors of ours are opened and closed by their users.
static struct descriptor *watched(int fd) {
    if (fd < 0 || fd >= DESCRIPTORS || live.descriptors[fd].node == 0 || live.is_off) return NULL;
    return &live.descriptors[fd];
}

// Opening and closing.

static void note_open(int fd, const struct place *place, int flags, const struct step *step) {
    if (fd >= DESCRIPTORS) {
        fprintf(stderr, "fault disk: more than %d descriptors\n", DESCRIPTORS);
        abort();
    }
    uint32_t node = place->node;
    if (!place->exists) {
        node = disk_new_node(&live.disk, false);
        struct op *op = op_make(OP_CREATE);
        op->node = node;
        op->folder = place->folder;
        memcpy(op->name, place->name, sizeof op->name);
        tree_apply(&live.names, op);
        live_record(op, step);
    } else if (flags & O_TRUNC) {
        struct op *op = op_make(OP_TRUNCATE);
        op->node = node;
        live_record(op, step);
    }
    struct descriptor *descriptor = &live.descriptors[fd];
    descriptor->is_durable = (flags & O_DSYNC) != 0;
    descriptor->appends = (flags & O_APPEND) != 0;
    descriptor->node = node + 1;
}

static int opened(int folder, const char *path, int flags, mode_t mode) {
    if (!live.is_watching || path[0] != '/') return real_openat(folder, path, flags, mode);
    live_announce();
    lock();
    struct place place = live_find(path);
    struct step step = {0};
    bool changes = place.is_watched && (flags & (place.exists ? O_TRUNC : O_CREAT)) != 0;
    if (changes) {
        step = live_begin(FAULT_OPEN);
    } else if (place.is_watched && (live.fail_kinds & FAULT_OPEN)) {
        // It changes nothing, so it has no number, but it can fail.
        step = live_begin(FAULT_OPEN);
        live.calls--;
        step.is_last = false;
    }
    int fd = step.error != 0 ? failed(step.error) : real_openat(folder, path, flags, mode);
    int error = errno;
    if (place.is_watched && fd >= 0) note_open(fd, &place, flags, &step);
    unlock();
    errno = error;
    return fd;
}

#define MODE_OF(flags)                                          \
    mode_t mode = 0;                                            \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                      \
        va_list list;                                           \
        va_start(list, flags);                                  \
        mode = (mode_t)va_arg(list, int);                       \
        va_end(list);                                           \
    }

int open(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...) {
    MODE_OF(flags)
    return opened(folder, path, flags, mode);
}

int close(int fd) {
    // First, as another thread may be given the number at once.
    if (fd >= 0 && fd < DESCRIPTORS) live.descriptors[fd].node = 0;
    return real_close(fd);
}

// Writing.

static void note_write(uint32_t node, bool is_durable, const struct iovec *parts, uint64_t offset, uint64_t length, const struct step *step) {
    struct op *op = op_make(OP_WRITE);
    op->node = node;
    op->is_durable = is_durable;
    op->offset = offset;
    op->length = length;
    op->data = malloc(length + 1);
    if (op->data == NULL) abort();
    for (uint64_t done = 0; done < length; parts++) {
        uint64_t count = parts->iov_len < length - done ? parts->iov_len : length - done;
        memcpy(op->data + done, parts->iov_base, count);
        done += count;
    }
    live_record(op, step);
}

/// `offset` < 0 = at the descriptor's place.
static ssize_t written(int fd, const struct iovec *parts, int count, off_t offset) {
    if (watched(fd) == NULL) return offset < 0 ? real_writev(fd, parts, count) : real_pwritev(fd, parts, count, offset);
    live_announce();
    lock();
    const struct descriptor *descriptor = watched(fd);
    struct step step = descriptor != NULL ? live_begin(FAULT_WRITE) : (struct step){0};
    uint64_t at = offset >= 0 ? (uint64_t)offset : (uint64_t)lseek(fd, 0, SEEK_CUR);
    struct stat info;
    if (descriptor != NULL && descriptor->appends && fstat(fd, &info) == 0) at = (uint64_t)info.st_size;
    struct iovec half = parts[0];
    if (step.is_short && (half.iov_len > 1 || count > 1)) {
        half.iov_len = half.iov_len > 1 ? half.iov_len / 2 : half.iov_len;
        parts = &half;
        count = 1;
    }
    ssize_t result = step.error != 0 ? failed(step.error)
                     : offset < 0    ? real_writev(fd, parts, count)
                                     : real_pwritev(fd, parts, count, offset);
    int error = errno;
    if (step.is_watched && result >= 0)
        note_write(descriptor->node - 1, descriptor->is_durable, parts, at, (uint64_t)result, &step);
    unlock();
    errno = error;
    return result;
}

ssize_t write(int fd, const void *bytes, size_t count) {
    if (watched(fd) == NULL) return real_write(fd, bytes, count);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    return written(fd, &part, 1, -1);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    if (watched(fd) == NULL) return real_pwrite(fd, bytes, count, offset);
    struct iovec part = {.iov_base = (void *)bytes, .iov_len = count};
    return written(fd, &part, 1, offset);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) { return pwrite(fd, bytes, count, offset); }
ssize_t writev(int fd, const struct iovec *parts, int count) { return written(fd, parts, count, -1); }
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) { return written(fd, parts, count, offset); }
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) { return written(fd, parts, count, offset); }

int ftruncate(int fd, off_t size) {
    if (watched(fd) == NULL) return real_ftruncate(fd, size);
    live_announce();
    lock();
    const struct descriptor *descriptor = watched(fd);
    struct step step = descriptor != NULL ? live_begin(FAULT_WRITE) : (struct step){0};
    int result = step.error != 0 ? failed(step.error) : real_ftruncate(fd, size);
    int error = errno;
    if (step.is_watched && result == 0) {
        struct op *op = op_make(OP_TRUNCATE);
        op->node = descriptor->node - 1;
        op->offset = (uint64_t)size;
        live_record(op, &step);
    }
    unlock();
    errno = error;
    return result;
}

int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

/// Space is promised or refused, and nothing changes: the tmpfs needs none.
int fallocate(int fd, int mode, off_t offset, off_t length) {
    if (watched(fd) == NULL) return real_fallocate(fd, mode, offset, length);
    if ((mode & FALLOC_FL_KEEP_SIZE) == 0) return failed(EOPNOTSUPP);
    lock();
    struct step step = {0};
    if ((live.fail_kinds & FAULT_WRITE) != 0 && (live.fail_error == ENOSPC || live.fail_error == EDQUOT)) {
        step = live_begin(FAULT_WRITE);
        live.calls--;
    }
    unlock();
    return step.error != 0 ? failed(step.error) : 0;
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) { return fallocate(fd, mode, offset, length); }

// Syncing: the tmpfs has no disk to wait for.

static int synced(int fd, int (*real)(int)) {
    if (!live.is_watching || fd < 0 || fd >= DESCRIPTORS || live.descriptors[fd].node == 0) return real(fd);
    live_announce();
    lock();
    const struct descriptor *descriptor = watched(fd);
    struct step step = descriptor != NULL ? live_begin(FAULT_SYNC) : (struct step){0};
    if (step.is_watched) {
        struct op *op = op_make(step.error != 0 ? OP_SYNC_FAILED : OP_SYNC);
        op->node = descriptor->node - 1;
        if (step.error == EINTR) op_release(op);
        else live_record(op, &step);
    }
    unlock();
    return step.error != 0 ? failed(step.error) : 0;
}

int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

// Names.

static struct op *name_change(enum op_kind kind, const struct place *place, uint32_t node) {
    struct op *op = op_make(kind);
    op->node = node;
    op->folder = place->folder;
    memcpy(op->name, place->name, sizeof op->name);
    return op;
}

static void carry_out(struct op *op, const struct step *step) {
    tree_apply(&live.names, op);
    live_record(op, step);
}

int rename(const char *old, const char *new) {
    if (!live.is_watching) return real_rename(old, new);
    live_announce();
    lock();
    struct place from = live_find(old), to = live_find(new);
    bool is_ours = from.is_watched && to.is_watched && from.exists;
    struct step step = is_ours ? live_begin(FAULT_RENAME) : (struct step){0};
    int result = step.error != 0 ? failed(step.error) : real_rename(old, new);
    int error = errno;
    if (step.is_watched && result == 0) {
        struct op *op = name_change(OP_RENAME, &from, from.node);
        op->new_folder = to.folder;
        memcpy(op->new_name, to.name, sizeof op->new_name);
        carry_out(op, &step);
    }
    unlock();
    errno = error;
    return result;
}

static int removed(const char *path, int (*real)(const char *)) {
    if (!live.is_watching) return real(path);
    live_announce();
    lock();
    struct place place = live_find(path);
    struct step step = place.is_watched && place.exists ? live_begin(FAULT_UNLINK) : (struct step){0};
    int result = step.error != 0 ? failed(step.error) : real(path);
    int error = errno;
    if (step.is_watched && result == 0) carry_out(name_change(OP_UNLINK, &place, place.node), &step);
    unlock();
    errno = error;
    return result;
}

int unlink(const char *path) { return removed(path, real_unlink); }
int rmdir(const char *path) { return removed(path, real_rmdir); }

int mkdir(const char *path, mode_t mode) {
    if (!live.is_watching) return real_mkdir(path, mode);
    live_announce();
    lock();
    struct place place = live_find(path);
    struct step step = place.is_watched ? live_begin(FAULT_OPEN) : (struct step){0};
    int result = step.error != 0 ? failed(step.error) : real_mkdir(path, mode);
    int error = errno;
    if (step.is_watched && result == 0) carry_out(name_change(OP_MKDIR, &place, disk_new_node(&live.disk, true)), &step);
    unlock();
    errno = error;
    return result;
}
