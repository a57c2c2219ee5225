// libc's own calls, past those that this target puts before them.
#ifndef FAULT_DISK_REAL_H
#define FAULT_DISK_REAL_H

#include <sys/types.h>
#include <sys/uio.h>

int real_open(const char *path, int flags, mode_t mode);
int real_openat(int folder, const char *path, int flags, mode_t mode);
int real_close(int fd);
ssize_t real_write(int fd, const void *bytes, size_t count);
ssize_t real_pwrite(int fd, const void *bytes, size_t count, off_t offset);
ssize_t real_writev(int fd, const struct iovec *parts, int count);
ssize_t real_pwritev(int fd, const struct iovec *parts, int count, off_t offset);
int real_fsync(int fd);
int real_fdatasync(int fd);
int real_ftruncate(int fd, off_t size);
int real_fallocate(int fd, int mode, off_t offset, off_t length);
int real_rename(const char *old, const char *new);
int real_unlink(const char *path);
int real_mkdir(const char *path, mode_t mode);
int real_rmdir(const char *path);

#endif
