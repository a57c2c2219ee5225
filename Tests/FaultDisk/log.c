#include "CFaultDisk.h"
#include "live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct fault_log {
    struct disk base, now;
    struct op **ops;
    size_t count, capacity, at;
    bool has_begun; // the entry `at` is the last pending one
};

struct fault_log *log_make(const struct disk *base) {
    struct fault_log *log = calloc(1, sizeof *log);
    if (log == NULL) abort();
    disk_copy(&log->base, base);
    disk_copy(&log->now, base);
    return log;
}

void log_append(struct fault_log *log, struct op *op) {
    log->ops = fault_grow(log->ops, log->count, &log->capacity, sizeof *log->ops);
    log->ops[log->count++] = op_retain(op);
}

const struct disk *log_disk(const struct fault_log *log) { return &log->now; }

void fault_log_free(struct fault_log *log) {
    disk_free(&log->base);
    disk_free(&log->now);
    for (size_t i = 0; i < log->count; i++) op_release(log->ops[i]);
    free(log->ops);
    free(log);
}

size_t fault_log_length(const struct fault_log *log) { return log->count; }

bool fault_log_mark(const struct fault_log *log, size_t index, uint64_t *mark) {
    if (index >= log->count || log->ops[index]->kind != OP_MARK) return false;
    *mark = log->ops[index]->offset;
    return true;
}

bool fault_log_begin_next(struct fault_log *log) {
    if (log->has_begun || log->at >= log->count) return false;
    struct op *op = log->ops[log->at];
    if (op->kind != OP_WRITE || !op->is_durable) return false;
    disk_add_pending(&log->now, op, false);
    log->has_begun = true;
    return true;
}

void fault_log_seek(struct fault_log *log, size_t length) {
    if (log->has_begun) op_release(log->now.pending[--log->now.pending_count].op);
    log->has_begun = false;
    if (length < log->at) {
        disk_free(&log->now);
        disk_copy(&log->now, &log->base);
        log->at = 0;
    }
    while (log->at < length && log->at < log->count) disk_apply(&log->now, log->ops[log->at++]);
}

size_t fault_log_pending(const struct fault_log *log) { return disk_free_count(&log->now); }

uint64_t fault_log_hash(const struct fault_log *log, uint32_t how, uint64_t seed) {
    struct disk image;
    disk_crash(&log->now, how, seed, &image);
    uint64_t hash = disk_hash(&image);
    disk_free(&image);
    return hash;
}

static const char *renamed(const struct op *op, uint32_t node, const char *name) {
    if (op->node != node) return name;
    if (op->kind == OP_CREATE || op->kind == OP_MKDIR) return op->name;
    return op->kind == OP_RENAME ? op->new_name : name;
}

/// The last name of a node up to entry `index`.
static const char *name_of(const struct fault_log *log, uint32_t node, size_t index) {
    const char *name = node == 0 ? "." : "?";
    for (size_t i = 0; i < log->base.names.count; i++)
        if (log->base.names.entries[i].node == node) name = log->base.names.entries[i].name;
    for (size_t i = 0; i < log->base.pending_count; i++) name = renamed(log->base.pending[i].op, node, name);
    for (size_t i = 0; i <= index && i < log->count; i++) name = renamed(log->ops[i], node, name);
    return name;
}

void fault_log_describe(const struct fault_log *log, size_t index, char *out, size_t capacity) {
    if (index >= log->count) {
        snprintf(out, capacity, "end");
        return;
    }
    const struct op *op = log->ops[index];
    const char *name = name_of(log, op->node, index);
    switch (op->kind) {
    case OP_WRITE:
        snprintf(
            out, capacity, "%s %s, %llu bytes at %llu", op->is_durable ? "write through" : "write", name,
            (unsigned long long)op->length, (unsigned long long)op->offset);
        break;
    case OP_TRUNCATE: snprintf(out, capacity, "truncate %s to %llu", name, (unsigned long long)op->offset); break;
    case OP_CREATE: snprintf(out, capacity, "create %s", op->name); break;
    case OP_MKDIR: snprintf(out, capacity, "mkdir %s", op->name); break;
    case OP_RENAME: snprintf(out, capacity, "rename %s to %s", op->name, op->new_name); break;
    case OP_UNLINK: snprintf(out, capacity, "remove %s", op->name); break;
    case OP_SYNC: snprintf(out, capacity, "sync %s", name); break;
    case OP_SYNC_FAILED: snprintf(out, capacity, "failed sync %s", name); break;
    case OP_MARK: snprintf(out, capacity, "mark %llu", (unsigned long long)op->offset); break;
    }
}
