// What the disk holds for sure, and what it may hold: the model behind CFaultDisk.h. No call of libc is led through here.
#ifndef FAULT_DISK_MODEL_H
#define FAULT_DISK_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum op_kind { OP_WRITE, OP_TRUNCATE, OP_CREATE, OP_MKDIR, OP_RENAME, OP_UNLINK, OP_SYNC, OP_SYNC_FAILED, OP_MARK };
enum { NAME_BYTES = 64, SECTOR = 512 };

/// One change or sync. Shared by the live disk and a log: never changed once made.
struct op {
    int references;
    enum op_kind kind;
    bool is_durable;     // a write through O_DSYNC
    uint32_t node;       // the file or folder that it is about
    uint32_t folder;     // of a change of names: where
    uint32_t new_folder; // of a rename
    char name[NAME_BYTES], new_name[NAME_BYTES];
    uint64_t offset; // of a write; the new size of a truncation; the number of a mark
    uint64_t length;
    uint8_t *data;
};

/// A file's bytes. A folder has none.
struct node {
    uint8_t *bytes;
    uint64_t size, capacity;
    bool is_folder;
};

struct entry {
    uint32_t folder, node;
    char name[NAME_BYTES];
};

struct tree {
    struct entry *entries;
    size_t count, capacity;
};

struct pending {
    struct op *op;
    bool is_forced; // durable, but kept in line behind older changes of the same file that aren't
    bool is_doomed; // a sync of it failed
};

/// Node 0 is the watched folder.
struct disk {
    struct node *nodes;
    size_t node_count, node_capacity;
    struct tree names;
    struct pending *pending;
    size_t pending_count, pending_capacity;
};

void *fault_grow(void *array, size_t count, size_t *capacity, size_t item);

struct op *op_make(enum op_kind kind);
struct op *op_retain(struct op *op);
void op_release(struct op *op);

struct entry *tree_find(struct tree *tree, uint32_t folder, const char *name);
void tree_set(struct tree *tree, uint32_t folder, const char *name, uint32_t node);
void tree_remove(struct tree *tree, uint32_t folder, const char *name);
/// Carries out a change of names.
void tree_apply(struct tree *tree, const struct op *op);
void tree_copy(struct tree *to, const struct tree *from);

void node_write(struct node *node, uint64_t offset, const uint8_t *data, uint64_t length);
void node_resize(struct node *node, uint64_t size);

void disk_init(struct disk *disk);
void disk_free(struct disk *disk);
void disk_copy(struct disk *to, const struct disk *from);
uint32_t disk_new_node(struct disk *disk, bool is_folder);
/// A change becomes pending; a sync makes what it covers durable.
void disk_apply(struct disk *disk, struct op *op);
void disk_add_pending(struct disk *disk, struct op *op, bool is_forced);
void disk_forget_pending(struct disk *disk);
/// Changes that may be lost.
size_t disk_free_count(const struct disk *disk);

/// Reads a real folder: all durable.
void disk_scan(struct disk *disk, const char *folder);
/// The disk after a crash: nothing pending.
void disk_crash(const struct disk *disk, uint32_t how, uint64_t seed, struct disk *image);
/// Makes a real folder the same as the disk's durable state.
void disk_write_out(const struct disk *disk, const char *folder);
/// Of names and contents that can be reached.
uint64_t disk_hash(const struct disk *disk);

#endif
