/* Comes between a process and its C library: a disk that is slow to sync, and a clock that somebody sets.

   What it does stands in a file that a test writes, and is read anew at every call: how many microseconds each fsync and
   fdatasync takes longer, and by how many seconds the clock of the day is ahead. Time that only passes (CLOCK_MONOTONIC) is
   not touched, as no setting of a clock does. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct weather { volatile int64_t sync_delay_us; volatile int64_t clock_ahead_s; };

static const struct weather calm = {0, 0};
static const struct weather *now = &calm;

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("CHAOS_WEATHER");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (file < 0) return;
    void *seen = mmap(NULL, sizeof(struct weather), PROT_READ, MAP_SHARED, file, 0);
    close(file);
    if (seen != MAP_FAILED) now = seen;
}

static void wait_for_disk(void) {
    int64_t delay = now->sync_delay_us;
    if (delay > 0) usleep((useconds_t)delay);
}

int fsync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_for_disk();
    return real(file);
}

int fdatasync(int file) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_for_disk();
    return real(file);
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(clock, time);
    if (!failed && clock == CLOCK_REALTIME) time->tv_sec += now->clock_ahead_s;
    return failed;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = (int (*)(struct timeval *restrict, void *restrict))dlsym(RTLD_NEXT, "gettimeofday");
    int failed = real(time, zone);
    if (!failed) time->tv_sec += now->clock_ahead_s;
    return failed;
}

time_t time(time_t *into) {
    struct timespec found;
    clock_gettime(CLOCK_REALTIME, &found);
    if (into) *into = found.tv_sec;
    return found.tv_sec;
}
