#include "disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *fault_grow(void *array, size_t count, size_t *capacity, size_t item) {
    if (count < *capacity) return array;
    *capacity = *capacity ? *capacity * 2 : 64;
    array = realloc(array, *capacity * item);
    if (array == NULL) abort();
    return array;
}

struct op *op_make(enum op_kind kind) {
    struct op *op = calloc(1, sizeof *op);
    if (op == NULL) abort();
    op->references = 1;
    op->kind = kind;
    return op;
}

struct op *op_retain(struct op *op) {
    op->references++;
    return op;
}

void op_release(struct op *op) {
    if (--op->references > 0) return;
    free(op->data);
    free(op);
}

// Names.

struct entry *tree_find(struct tree *tree, uint32_t folder, const char *name) {
    for (size_t i = 0; i < tree->count; i++)
        if (tree->entries[i].folder == folder && strcmp(tree->entries[i].name, name) == 0) return &tree->entries[i];
    return NULL;
}

void tree_set(struct tree *tree, uint32_t folder, const char *name, uint32_t node) {
    struct entry *entry = tree_find(tree, folder, name);
    if (entry == NULL) {
        tree->entries = fault_grow(tree->entries, tree->count, &tree->capacity, sizeof *tree->entries);
        entry = &tree->entries[tree->count++];
        entry->folder = folder;
        snprintf(entry->name, sizeof entry->name, "%s", name);
    }
    entry->node = node;
}

void tree_remove(struct tree *tree, uint32_t folder, const char *name) {
    struct entry *entry = tree_find(tree, folder, name);
    if (entry == NULL) return;
    *entry = tree->entries[--tree->count];
}

void tree_apply(struct tree *tree, const struct op *op) {
    switch (op->kind) {
    case OP_CREATE:
    case OP_MKDIR: tree_set(tree, op->folder, op->name, op->node); break;
    case OP_UNLINK: tree_remove(tree, op->folder, op->name); break;
    case OP_RENAME:
        tree_remove(tree, op->folder, op->name);
        tree_set(tree, op->new_folder, op->new_name, op->node);
        break;
    case OP_WRITE:
    case OP_TRUNCATE:
    case OP_SYNC:
    case OP_SYNC_FAILED:
    case OP_MARK: break;
    }
}

void tree_copy(struct tree *to, const struct tree *from) {
    *to = (struct tree){.count = from->count, .capacity = from->count + 16};
    to->entries = malloc(to->capacity * sizeof *to->entries);
    if (to->entries == NULL) abort();
    if (from->count > 0) memcpy(to->entries, from->entries, from->count * sizeof *to->entries);
}

// Contents.

void node_resize(struct node *node, uint64_t size) {
    if (size > node->capacity) {
        node->capacity = size > 2 * node->capacity ? size : 2 * node->capacity;
        node->bytes = realloc(node->bytes, node->capacity);
        if (node->bytes == NULL) abort();
    }
    if (size > node->size) memset(node->bytes + node->size, 0, size - node->size);
    node->size = size;
}

void node_write(struct node *node, uint64_t offset, const uint8_t *data, uint64_t length) {
    if (length == 0) return;
    if (offset + length > node->size) node_resize(node, offset + length);
    memcpy(node->bytes + offset, data, length);
}

// The disk.

void disk_init(struct disk *disk) {
    *disk = (struct disk){0};
    disk_new_node(disk, true);
}

void disk_free(struct disk *disk) {
    for (size_t i = 0; i < disk->node_count; i++) free(disk->nodes[i].bytes);
    disk_forget_pending(disk);
    free(disk->nodes);
    free(disk->names.entries);
    free(disk->pending);
    *disk = (struct disk){0};
}

/// Nodes that have a name, or may have one after a crash: `used` has a place for each.
static void find_used(const struct disk *disk, bool *used) {
    for (size_t i = 0; i < disk->names.count; i++) used[disk->names.entries[i].node] = true;
    for (size_t i = 0; i < disk->pending_count; i++) used[disk->pending[i].op->node] = true;
}

void disk_copy(struct disk *to, const struct disk *from) {
    *to = (struct disk){.node_count = from->node_count, .node_capacity = from->node_count + 16};
    to->nodes = calloc(to->node_capacity, sizeof *to->nodes);
    bool *used = calloc(from->node_count, sizeof *used);
    if (to->nodes == NULL || used == NULL) abort();
    find_used(from, used);
    for (size_t i = 0; i < from->node_count; i++) {
        to->nodes[i].is_folder = from->nodes[i].is_folder;
        if (used[i]) node_write(&to->nodes[i], 0, from->nodes[i].bytes, from->nodes[i].size);
    }
    free(used);
    tree_copy(&to->names, &from->names);
    for (size_t i = 0; i < from->pending_count; i++) {
        to->pending = fault_grow(to->pending, to->pending_count, &to->pending_capacity, sizeof *to->pending);
        to->pending[to->pending_count] = from->pending[i];
        op_retain(to->pending[to->pending_count++].op);
    }
}

uint32_t disk_new_node(struct disk *disk, bool is_folder) {
    disk->nodes = fault_grow(disk->nodes, disk->node_count, &disk->node_capacity, sizeof *disk->nodes);
    disk->nodes[disk->node_count] = (struct node){.is_folder = is_folder};
    return (uint32_t)disk->node_count++;
}

static bool is_data(const struct op *op) { return op->kind == OP_WRITE || op->kind == OP_TRUNCATE; }

/// Whether a sync of `node` covers the change.
static bool belongs(const struct op *op, uint32_t node) {
    if (is_data(op)) return op->node == node;
    return op->folder == node || (op->kind == OP_RENAME && op->new_folder == node);
}

static void make_durable(struct disk *disk, const struct op *op) {
    if (op->kind == OP_WRITE) {
        node_write(&disk->nodes[op->node], op->offset, op->data, op->length);
    } else if (op->kind == OP_TRUNCATE) {
        node_resize(&disk->nodes[op->node], op->offset);
    } else {
        tree_apply(&disk->names, op);
    }
}

/// Frees what no name leads to any more.
static void collect(struct disk *disk) {
    bool *used = calloc(disk->node_count, sizeof *used);
    if (used == NULL) abort();
    find_used(disk, used);
    for (size_t i = 0; i < disk->node_count; i++) {
        if (used[i] || disk->nodes[i].bytes == NULL) continue;
        free(disk->nodes[i].bytes);
        disk->nodes[i] = (struct node){0};
    }
    free(used);
}

/// A change that an older one in doubt precedes must stay behind it, or the older would come out on top.
static void sync_node(struct disk *disk, uint32_t node) {
    size_t kept = 0;
    bool is_blocked = false;
    for (size_t i = 0; i < disk->pending_count; i++) {
        struct pending item = disk->pending[i];
        if (belongs(item.op, node)) {
            if (item.is_doomed) {
                is_blocked = true;
            } else if (is_blocked) {
                item.is_forced = true;
            } else {
                make_durable(disk, item.op);
                op_release(item.op);
                continue;
            }
        }
        disk->pending[kept++] = item;
    }
    disk->pending_count = kept;
    if (disk->nodes[node].is_folder) collect(disk);
}

static bool has_pending(const struct disk *disk, uint32_t node) {
    for (size_t i = 0; i < disk->pending_count; i++)
        if (belongs(disk->pending[i].op, node)) return true;
    return false;
}

void disk_add_pending(struct disk *disk, struct op *op, bool is_forced) {
    disk->pending = fault_grow(disk->pending, disk->pending_count, &disk->pending_capacity, sizeof *disk->pending);
    disk->pending[disk->pending_count++] = (struct pending){.op = op_retain(op), .is_forced = is_forced};
}

void disk_apply(struct disk *disk, struct op *op) {
    switch (op->kind) {
    case OP_SYNC: sync_node(disk, op->node); return;
    case OP_SYNC_FAILED:
        for (size_t i = 0; i < disk->pending_count; i++)
            if (belongs(disk->pending[i].op, op->node) && !disk->pending[i].is_forced) disk->pending[i].is_doomed = true;
        return;
    case OP_MARK: return;
    case OP_CREATE:
    case OP_MKDIR:
        while (disk->node_count <= op->node) disk_new_node(disk, false);
        disk->nodes[op->node].is_folder = op->kind == OP_MKDIR;
        break;
    case OP_WRITE:
        if (op->is_durable && !has_pending(disk, op->node)) {
            make_durable(disk, op);
            return;
        }
        break;
    case OP_TRUNCATE:
    case OP_RENAME:
    case OP_UNLINK: break;
    }
    disk_add_pending(disk, op, op->is_durable);
}

void disk_forget_pending(struct disk *disk) {
    for (size_t i = 0; i < disk->pending_count; i++) op_release(disk->pending[i].op);
    disk->pending_count = 0;
}

size_t disk_free_count(const struct disk *disk) {
    size_t count = 0;
    for (size_t i = 0; i < disk->pending_count; i++) count += !disk->pending[i].is_forced;
    return count;
}
