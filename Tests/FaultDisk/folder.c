// The model and the real folder: reading one in, writing one out. These calls go to the kernel as they are.
#include "CFaultDisk.h"
#include "disk.h"
#include "real.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_BYTES = 1024 };

static void fail(const char *what, const char *path) {
    fprintf(stderr, "fault disk: ");
    fprintf(stderr, "%s ", what);
    perror(path);
    abort();
}

static void read_file(struct node *node, const char *path) {
    int fd = real_open(path, O_RDONLY | O_CLOEXEC, 0);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) fail("reading", path);
    node_resize(node, (uint64_t)info.st_size);
    for (uint64_t done = 0; done < node->size;) {
        ssize_t count = pread(fd, node->bytes + done, node->size - done, (off_t)done);
        if (count <= 0) fail("reading", path);
        done += (uint64_t)count;
    }
    real_close(fd);
}

static void scan(struct disk *disk, uint32_t folder, const char *path) {
    DIR *list = opendir(path);
    if (list == NULL) fail("reading", path);
    for (struct dirent *item; (item = readdir(list)) != NULL;) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        if (strlen(item->d_name) >= NAME_BYTES) fail("a name is too long:", item->d_name);
        char child[PATH_BYTES];
        snprintf(child, sizeof child, "%s/%s", path, item->d_name);
        struct stat info;
        if (lstat(child, &info) != 0) fail("reading", child);
        if (!S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode)) continue;
        uint32_t node = disk_new_node(disk, S_ISDIR(info.st_mode));
        tree_set(&disk->names, folder, item->d_name, node);
        if (S_ISDIR(info.st_mode)) scan(disk, node, child);
        else read_file(&disk->nodes[node], child);
    }
    closedir(list);
}

void disk_scan(struct disk *disk, const char *folder) {
    disk_init(disk);
    scan(disk, 0, folder);
}

static void empty(const char *path) {
    DIR *list = opendir(path);
    if (list == NULL) fail("emptying", path);
    for (struct dirent *item; (item = readdir(list)) != NULL;) {
        if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0) continue;
        char child[PATH_BYTES];
        snprintf(child, sizeof child, "%s/%s", path, item->d_name);
        if (item->d_type == DT_DIR) {
            empty(child);
            if (real_rmdir(child) != 0) fail("emptying", child);
        } else if (real_unlink(child) != 0) {
            fail("emptying", child);
        }
    }
    closedir(list);
}

static void write_folder(const struct disk *disk, uint32_t folder, const char *path) {
    for (size_t i = 0; i < disk->names.count; i++) {
        const struct entry *entry = &disk->names.entries[i];
        if (entry->folder != folder) continue;
        const struct node *node = &disk->nodes[entry->node];
        char child[PATH_BYTES];
        snprintf(child, sizeof child, "%s/%s", path, entry->name);
        if (node->is_folder) {
            if (real_mkdir(child, 0700) != 0) fail("making", child);
            write_folder(disk, entry->node, child);
            continue;
        }
        int fd = real_open(child, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0) fail("making", child);
        if (node->size > 0 && real_pwrite(fd, node->bytes, node->size, 0) != (ssize_t)node->size) fail("writing", child);
        real_close(fd);
    }
}

void fault_disk_empty(const char *folder) { empty(folder); }

void disk_write_out(const struct disk *disk, const char *folder) {
    empty(folder);
    write_folder(disk, 0, folder);
}

static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0xFF51AFD7ED558CCDu;
    return hash ^ (hash >> 32);
}

static uint64_t hash_bytes(uint64_t hash, const void *bytes, size_t count) {
    const uint8_t *at = bytes;
    hash = mix(hash, count);
    for (; count >= 8; at += 8, count -= 8) {
        uint64_t word;
        memcpy(&word, at, 8);
        hash = mix(hash, word);
    }
    uint64_t rest = 0;
    if (count > 0) memcpy(&rest, at, count);
    return mix(hash, rest);
}

/// A sum over the entries: their order in memory says nothing.
static uint64_t hash_folder(const struct disk *disk, uint32_t folder) {
    uint64_t sum = 0;
    for (size_t i = 0; i < disk->names.count; i++) {
        const struct entry *entry = &disk->names.entries[i];
        if (entry->folder != folder) continue;
        const struct node *node = &disk->nodes[entry->node];
        uint64_t hash = hash_bytes(1, entry->name, strlen(entry->name));
        sum += node->is_folder ? mix(hash, hash_folder(disk, entry->node)) : hash_bytes(hash, node->bytes, node->size);
    }
    return sum;
}

uint64_t disk_hash(const struct disk *disk) { return hash_folder(disk, 0); }
