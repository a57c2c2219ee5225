// Which of the pending changes a crash leaves.
#include "CFaultDisk.h"
#include "disk.h"

#include <stdlib.h>
#include <string.h>

/// SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t draw(uint64_t *state) {
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

enum fate { LOST, KEPT, TORN };

static bool is_name_change(const struct op *op) {
    return op->kind == OP_CREATE || op->kind == OP_MKDIR || op->kind == OP_RENAME || op->kind == OP_UNLINK;
}

/// Changes of one file's names keep their order: either the later goes with the earlier, or it pulls the earlier in.
static void order_names(const struct disk *disk, uint8_t *fates, bool pulls) {
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct op *late = disk->pending[i].op;
        if (!is_name_change(late)) continue;
        for (size_t j = 0; j < i; j++) {
            const struct op *early = disk->pending[j].op;
            if (!is_name_change(early) || early->node != late->node || fates[i] == LOST || fates[j] != LOST) continue;
            if (pulls || disk->pending[i].is_forced) fates[j] = KEPT;
            else fates[i] = LOST;
        }
    }
}

/// The pieces of a write at `unit` bytes, aligned in the file.
static uint64_t piece_count(const struct op *op, uint64_t unit) {
    if (op->kind != OP_WRITE || op->length == 0) return 0;
    return (op->offset + op->length - 1) / unit - op->offset / unit + 1;
}

/// Which pieces survive: a head, a tail, all but one, one alone, or any.
static void write_pieces(struct node *node, const struct op *op, uint64_t unit, uint64_t *random) {
    uint64_t pieces = piece_count(op, unit), shape = draw(random) % 5, cut = draw(random) % pieces;
    if (shape < 2 && pieces > 1) cut = 1 + draw(random) % (pieces - 1);
    for (uint64_t piece = 0; piece < pieces; piece++) {
        bool survives = shape == 0   ? piece < cut
                        : shape == 1 ? piece >= cut
                        : shape == 2 ? piece != cut
                        : shape == 3 ? piece == cut
                                     : draw(random) & 1;
        if (!survives) continue;
        uint64_t from = (op->offset / unit + piece) * unit, to = from + unit;
        if (from < op->offset) from = op->offset;
        if (to > op->offset + op->length) to = op->offset + op->length;
        node_write(node, from, op->data + (from - op->offset), to - from);
    }
    // The new size may be there without its data.
    if (draw(random) % 4 == 0 && node->size < op->offset + op->length) node_resize(node, op->offset + op->length);
}

/// The write that is torn: for words the last small one, which is LMDB's meta page; else any that spans pieces. -1 = none.
static ptrdiff_t choose_torn(const struct disk *disk, uint64_t unit, bool words, uint64_t *random) {
    size_t found = 0;
    ptrdiff_t chosen = -1;
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct pending *item = &disk->pending[i];
        if (item->is_forced || piece_count(item->op, unit) < 2) continue;
        if (words && item->op->length < SECTOR) chosen = (ptrdiff_t)i;
        else if (draw(random) % ++found == 0 && (chosen < 0 || !words)) chosen = (ptrdiff_t)i;
    }
    return chosen;
}

static void choose(const struct disk *disk, uint32_t how, uint64_t seed, uint64_t *random, uint8_t *fates) {
    size_t count = disk_free_count(disk), number = 0;
    uint64_t odds = 1 + draw(random) % 3, others = draw(random) % 4;
    for (size_t i = 0; i < disk->pending_count; i++) {
        if (disk->pending[i].is_forced) {
            fates[i] = KEPT;
            continue;
        }
        bool keeps = false;
        switch (how) {
        case CRASH_ALL_KEPT: keeps = true; break;
        case CRASH_SUBSET: keeps = draw(random) % 4 < odds; break;
        case CRASH_ONE_LOST: keeps = number != seed % count; break;
        case CRASH_ONE_KEPT: keeps = number == seed % count; break;
        case CRASH_PREFIX: keeps = number < seed % (count + 1); break;
        case CRASH_TORN:
        case CRASH_TORN_WORDS: keeps = others == 0 || (others != 1 && (draw(random) & 1)); break;
        default: break;
        }
        fates[i] = keeps ? KEPT : LOST;
        number++;
    }
    bool pulls = how == CRASH_ONE_KEPT || how == CRASH_PREFIX || (how != CRASH_ONE_LOST && (draw(random) & 1));
    order_names(disk, fates, pulls);
}

void disk_crash(const struct disk *disk, uint32_t how, uint64_t seed, struct disk *image) {
    uint64_t random = seed ^ (uint64_t)how << 56;
    uint64_t unit = how == CRASH_TORN_WORDS ? 8 : SECTOR;
    uint8_t *fates = calloc(disk->pending_count + 1, 1);
    if (fates == NULL) abort();
    choose(disk, how, seed, &random, fates);
    if (how == CRASH_TORN || how == CRASH_TORN_WORDS) {
        ptrdiff_t torn = choose_torn(disk, unit, how == CRASH_TORN_WORDS, &random);
        if (torn >= 0) fates[torn] = TORN;
    }
    disk_copy(image, disk);
    disk_forget_pending(image);
    for (size_t i = 0; i < disk->pending_count; i++) {
        const struct op *op = disk->pending[i].op;
        struct node *node = &image->nodes[op->node];
        if (fates[i] == LOST) continue;
        if (fates[i] == TORN) write_pieces(node, op, unit, &random);
        else if (op->kind == OP_WRITE) node_write(node, op->offset, op->data, op->length);
        else if (op->kind == OP_TRUNCATE) node_resize(node, op->offset);
        else tree_apply(&image->names, op);
    }
    free(fates);
}
