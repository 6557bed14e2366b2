/*
 * A disk that can be told to misbehave, preloaded into the server (LD_PRELOAD).
 *
 * DISK_SHIM_DIR      files below this directory are watched, all others pass through
 * DISK_SHIM_CONTROL  a file of three 32-bit little-endian integers, read at every call:
 *                      [0] milliseconds to sleep in fsync and fdatasync
 *                      [1] errno for writes (ENOSPC, EIO), 0 for none
 *                      [2] errno for fsync and fdatasync, 0 for none
 * DISK_SHIM_LOG      a file that every change is appended to, for the power-loss replay:
 *                      op(1) name-bytes(1) pad(2) length(4) offset(8) name data
 *                    W write, T truncate (offset = size), S sync, U unlink, R rename (data = new)
 *
 * Written for what SQLite calls: open, pwrite64, write, ftruncate64, fsync, fdatasync, unlink.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define FD_MAX 65536

static ssize_t (*real_pwrite64)(int, const void *, size_t, off64_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate64)(int, off64_t);
static int (*real_fsync)(int);
static int (*real_fdatasync)(int);
static int (*real_close)(int);
static int (*real_unlink)(const char *);
static int (*real_rename)(const char *, const char *);

static const char *directory;
static size_t directory_bytes;
static volatile int32_t *control;
static int log_fd = -1;
/* Base names of watched descriptors; NULL for all others. */
static char *names[FD_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;
/* One writer of the log at a time, so that the log's order is the disk's order. */
static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER;

static void start(void) {
  real_pwrite64 = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_ftruncate64 = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_close = dlsym(RTLD_NEXT, "close");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_rename = dlsym(RTLD_NEXT, "rename");
  directory = getenv("DISK_SHIM_DIR");
  directory_bytes = directory ? strlen(directory) : 0;
  const char *control_path = getenv("DISK_SHIM_CONTROL");
  if (control_path) {
    int fd = open(control_path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
      void *map = mmap(NULL, 12, PROT_READ, MAP_SHARED, fd, 0);
      if (map != MAP_FAILED) control = map;
      real_close(fd);
    }
  }
  const char *log_path = getenv("DISK_SHIM_LOG");
  if (log_path) log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static void ready(void) { pthread_once(&once, start); }

static const char *watched_path(const char *path) {
  if (!directory || !path || strncmp(path, directory, directory_bytes) != 0) return NULL;
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static const char *watched(int fd) {
  ready();
  return fd >= 0 && fd < FD_MAX ? names[fd] : NULL;
}

static void record(char op, const char *name, uint64_t offset, const void *data, uint32_t length) {
  if (log_fd < 0) return;
  uint8_t head[16] = {0};
  uint8_t name_bytes = (uint8_t)strlen(name);
  head[0] = (uint8_t)op;
  head[1] = name_bytes;
  memcpy(head + 4, &length, 4);
  memcpy(head + 8, &offset, 8);
  struct iovec parts[3] = {
      {head, sizeof head}, {(void *)name, name_bytes}, {(void *)data, data ? length : 0}};
  ssize_t ignored = writev(log_fd, parts, 3);
  (void)ignored;
}

static int failure(int index) {
  return control ? control[index] : 0;
}

/* open ---------------------------------------------------------------------------------------- */

static int opened(int fd, const char *path) {
  if (fd < 0 || fd >= FD_MAX) return fd;
  const char *name = watched_path(path);
  free(names[fd]);
  names[fd] = name ? strdup(name) : NULL;
  return fd;
}

#define DEFINE_OPEN(symbol)                                            \
  int symbol(const char *path, int flags, ...) {                       \
    static int (*real)(const char *, int, ...);                        \
    if (!real) real = dlsym(RTLD_NEXT, #symbol);                       \
    mode_t mode = 0;                                                   \
    if (flags & (O_CREAT | O_TMPFILE)) {                               \
      va_list more;                                                    \
      va_start(more, flags);                                           \
      mode = va_arg(more, mode_t);                                     \
      va_end(more);                                                    \
    }                                                                  \
    if (!directory) return real(path, flags, mode);                    \
    return opened(real(path, flags, mode), path);                      \
  }

DEFINE_OPEN(open)
DEFINE_OPEN(open64)

__attribute__((constructor)) static void at_load(void) { ready(); }

int close(int fd) {
  ready();
  if (fd >= 0 && fd < FD_MAX && names[fd]) {
    free(names[fd]);
    names[fd] = NULL;
  }
  return real_close(fd);
}

/* writes -------------------------------------------------------------------------------------- */

static ssize_t write_at(int fd, const char *name, const void *data, size_t length, off64_t offset) {
  if (failure(1)) {
    errno = failure(1);
    return -1;
  }
  pthread_mutex_lock(&log_lock);
  ssize_t written = real_pwrite64(fd, data, length, offset);
  if (written > 0) record('W', name, (uint64_t)offset, data, (uint32_t)written);
  pthread_mutex_unlock(&log_lock);
  return written;
}

ssize_t pwrite64(int fd, const void *data, size_t length, off64_t offset) {
  const char *name = watched(fd);
  return name ? write_at(fd, name, data, length, offset) : real_pwrite64(fd, data, length, offset);
}

ssize_t pwrite(int fd, const void *data, size_t length, off_t offset) {
  return pwrite64(fd, data, length, offset);
}

ssize_t write(int fd, const void *data, size_t length) {
  const char *name = watched(fd);
  if (!name) return real_write(fd, data, length);
  if (failure(1)) {
    errno = failure(1);
    return -1;
  }
  off64_t offset = lseek64(fd, 0, SEEK_CUR);
  pthread_mutex_lock(&log_lock);
  ssize_t written = real_write(fd, data, length);
  if (written > 0) record('W', name, (uint64_t)offset, data, (uint32_t)written);
  pthread_mutex_unlock(&log_lock);
  return written;
}

int ftruncate64(int fd, off64_t size) {
  const char *name = watched(fd);
  if (!name) return real_ftruncate64(fd, size);
  pthread_mutex_lock(&log_lock);
  int result = real_ftruncate64(fd, size);
  if (result == 0) record('T', name, (uint64_t)size, NULL, 0);
  pthread_mutex_unlock(&log_lock);
  return result;
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

/* syncs --------------------------------------------------------------------------------------- */

static int synced(int fd, int (*real)(int)) {
  const char *name = watched(fd);
  if (!name) return real(fd);
  int delay_ms = failure(0);
  if (delay_ms > 0) {
    struct timespec wait = {delay_ms / 1000, (long)(delay_ms % 1000) * 1000000L};
    nanosleep(&wait, NULL);
  }
  if (failure(2)) {
    errno = failure(2);
    return -1;
  }
  int result = real(fd);
  pthread_mutex_lock(&log_lock);
  if (result == 0) record('S', name, 0, NULL, 0);
  pthread_mutex_unlock(&log_lock);
  return result;
}

int fsync(int fd) {
  ready();
  return synced(fd, real_fsync);
}

int fdatasync(int fd) {
  ready();
  return synced(fd, real_fdatasync);
}

/* names --------------------------------------------------------------------------------------- */

int unlink(const char *path) {
  ready();
  const char *name = watched_path(path);
  pthread_mutex_lock(&log_lock);
  int result = real_unlink(path);
  if (result == 0 && name) record('U', name, 0, NULL, 0);
  pthread_mutex_unlock(&log_lock);
  return result;
}

int rename(const char *from, const char *to) {
  ready();
  const char *name = watched_path(from);
  const char *target = watched_path(to);
  pthread_mutex_lock(&log_lock);
  int result = real_rename(from, to);
  if (result == 0 && name && target) record('R', name, 0, target, (uint32_t)strlen(target));
  pthread_mutex_unlock(&log_lock);
  return result;
}
