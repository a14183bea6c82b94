/* Preloaded into a process, it makes calls on chosen files fail, as a broken or a full disk does.
 *
 * FAILING_DISK_FILES is a part of the path of the files meant. FAILING_DISK names a control file; while it is there, its one
 * line says what fails: `CALL ERRNO HOW SKIP`.
 *
 * CALL   a function below, or `meta`: a write to the first two pages of LMDB's data file
 * HOW    before: nothing is done, the call fails
 *        after:  it is done, and reported as failed
 *        stuck:  the first one is done and reported as failed, later ones fail without being done
 *        short:  half of a write is done, and reported as such
 * SKIP   how many calls still go well
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum how { NONE, BEFORE, AFTER, STUCK, SHORT };

static const off_t META_BYTES = 2 * 4096;
static char last_order[128];
static int matching;

static int is_meant(int fd)
{
    const char *part = getenv("FAILING_DISK_FILES");
    char link[64], path[PATH_MAX + 1];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX);
    if (part == NULL || length < 0)
        return 0;
    path[length] = 0;
    return strstr(path, part) != NULL;
}

static enum how order(int fd, const char *call, int *error)
{
    char line[128] = "", name[32], way[32];
    int skip = 0, kept = errno;
    const char *control = getenv("FAILING_DISK");
    int file = control == NULL ? -1 : open(control, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        errno = kept;
        last_order[0] = 0;
        return NONE;
    }
    ssize_t length = read(file, line, sizeof line - 1);
    close(file);
    errno = kept;
    if (length <= 0 || sscanf(line, "%31s %d %31s %d", name, error, way, &skip) != 4)
        return NONE;
    if (strcmp(line, last_order) != 0) {
        strcpy(last_order, line);
        matching = 0;
    }
    if (strcmp(name, call) != 0 || !is_meant(fd) || matching++ < skip)
        return NONE;
    if (strcmp(way, "stuck") == 0)
        return matching == skip + 1 ? AFTER : BEFORE;
    return strcmp(way, "before") == 0 ? BEFORE : strcmp(way, "after") == 0 ? AFTER : SHORT;
}

static enum how order_for_write(int fd, const char *call, off_t offset, int *error)
{
    enum how how = offset >= 0 && offset < META_BYTES ? order(fd, "meta", error) : NONE;
    return how != NONE ? how : order(fd, call, error);
}

#define REAL(call) __typeof__(&call) real = (__typeof__(&call))dlsym(RTLD_NEXT, #call)

#define FAIL_OR(how, error, real_call, short_call)                                                                     \
    do {                                                                                                               \
        if (how == NONE)                                                                                               \
            return real_call;                                                                                          \
        if (how == SHORT)                                                                                              \
            return short_call;                                                                                         \
        if (how == AFTER)                                                                                              \
            (void)!real_call;                                                                                          \
        errno = error;                                                                                                 \
        return -1;                                                                                                     \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t count)
{
    REAL(write);
    int error = 0;
    enum how how = order(fd, "write", &error);
    FAIL_OR(how, error, real(fd, bytes, count), real(fd, bytes, count / 2));
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset)
{
    REAL(pwrite);
    int error = 0;
    enum how how = order_for_write(fd, "write", offset, &error);
    FAIL_OR(how, error, real(fd, bytes, count, offset), real(fd, bytes, count / 2, offset));
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset)
{
    REAL(pwrite64);
    int error = 0;
    enum how how = order_for_write(fd, "write", offset, &error);
    FAIL_OR(how, error, real(fd, bytes, count, offset), real(fd, bytes, count / 2, offset));
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    REAL(writev);
    int error = 0;
    enum how how = order(fd, "write", &error);
    FAIL_OR(how, error, real(fd, parts, count), real(fd, parts, count / 2));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset)
{
    REAL(pwritev);
    int error = 0;
    enum how how = order_for_write(fd, "write", offset, &error);
    FAIL_OR(how, error, real(fd, parts, count, offset), real(fd, parts, count / 2, offset));
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset)
{
    REAL(pwritev64);
    int error = 0;
    enum how how = order_for_write(fd, "write", offset, &error);
    FAIL_OR(how, error, real(fd, parts, count, offset), real(fd, parts, count / 2, offset));
}

int fsync(int fd)
{
    REAL(fsync);
    int error = 0;
    enum how how = order(fd, "fsync", &error);
    FAIL_OR(how, error, real(fd), real(fd));
}

int fdatasync(int fd)
{
    REAL(fdatasync);
    int error = 0;
    enum how how = order(fd, "fdatasync", &error);
    FAIL_OR(how, error, real(fd), real(fd));
}

int ftruncate(int fd, off_t length)
{
    REAL(ftruncate);
    int error = 0;
    enum how how = order(fd, "ftruncate", &error);
    FAIL_OR(how, error, real(fd, length), real(fd, length));
}

int ftruncate64(int fd, off64_t length)
{
    REAL(ftruncate64);
    int error = 0;
    enum how how = order(fd, "ftruncate", &error);
    FAIL_OR(how, error, real(fd, length), real(fd, length));
}

int posix_fallocate(int fd, off_t offset, off_t length)
{
    REAL(posix_fallocate);
    int error = 0;
    enum how how = order(fd, "fallocate", &error);
    return how == NONE ? real(fd, offset, length) : error; /* it gives the error, errno stays */
}

int posix_fallocate64(int fd, off64_t offset, off64_t length)
{
    REAL(posix_fallocate64);
    int error = 0;
    enum how how = order(fd, "fallocate", &error);
    return how == NONE ? real(fd, offset, length) : error;
}
