#define _GNU_SOURCE
#include "real.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

static void *find(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        fprintf(stderr, "fault disk: libc has no %s\n", name);
        abort();
    }
    return found;
}

// Looked up at the first call, from whatever thread: every thread finds the same.
#define REAL(result, name, parameters, arguments)                          \
    result real_##name parameters {                                        \
        static result(*call) parameters;                                   \
        void *found = __atomic_load_n((void **)&call, __ATOMIC_ACQUIRE);   \
        if (found == NULL) {                                               \
            found = find(#name);                                           \
            __atomic_store_n((void **)&call, found, __ATOMIC_RELEASE);     \
        }                                                                  \
        return ((result(*) parameters)found)arguments;                     \
    }

REAL(int, open, (const char *path, int flags, mode_t mode), (path, flags, mode))
REAL(int, openat, (int folder, const char *path, int flags, mode_t mode), (folder, path, flags, mode))
REAL(int, close, (int fd), (fd))
REAL(ssize_t, write, (int fd, const void *bytes, size_t count), (fd, bytes, count))
REAL(ssize_t, pwrite, (int fd, const void *bytes, size_t count, off_t offset), (fd, bytes, count, offset))
REAL(ssize_t, writev, (int fd, const struct iovec *parts, int count), (fd, parts, count))
REAL(ssize_t, pwritev, (int fd, const struct iovec *parts, int count, off_t offset), (fd, parts, count, offset))
REAL(int, fsync, (int fd), (fd))
REAL(int, fdatasync, (int fd), (fd))
REAL(int, ftruncate, (int fd, off_t size), (fd, size))
REAL(int, fallocate, (int fd, int mode, off_t offset, off_t length), (fd, mode, offset, length))
REAL(int, rename, (const char *old, const char *new), (old, new))
REAL(int, unlink, (const char *path), (path))
REAL(int, mkdir, (const char *path, mode_t mode), (path, mode))
REAL(int, rmdir, (const char *path), (path))
