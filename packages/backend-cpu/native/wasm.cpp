// The WASM device: what the page or Node, the leader's worker and the helpers' workers call. Memory is one heap that the
// TypeScript side divides; every thread has its own stack there.
#include "pool.h"

#define EXPORT extern "C" __attribute__((visibility("default"), used))

extern "C" __attribute__((import_module("env"), import_name("now"))) double now(void); // µs
extern "C" const Kernel *kernels_wasm(int32_t);

// The compiler may call these; with bulk memory they are one instruction each.
extern "C" void *memset(void *to, int value, size_t n) {
  __asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.fill 0" ::"r"(to), "r"(value), "r"(n));
  return to;
}
extern "C" void *memcpy(void *to, const void *from, size_t n) {
  __asm__ volatile("local.get %0\nlocal.get %1\nlocal.get %2\nmemory.copy 0, 0" ::"r"(to), "r"(from), "r"(n));
  return to;
}
extern "C" void *memmove(void *to, const void *from, size_t n) { return memcpy(to, from, n); }

EXPORT int32_t pool_bytes() { return (int32_t)sizeof(Pool); }
// Makes a pool in zeroed memory.
EXPORT void pool_open(Pool *p, int32_t threads) {
  p->threads = threads;
  p->kernels = kernels_wasm;
  p->now = now;
}
EXPORT void pool_submit(Pool *p, Job *job) { submit(*p, job); }
EXPORT void pool_stop(Pool *p) { stop(*p); }
EXPORT void job_abort(Job *job) { STORE(&job->abort, 1u); }
EXPORT int32_t job_status(Job *job) { return job->status; }
EXPORT const char *kernel_name(int32_t i) {
  const Kernel *k = kernels_wasm(i);
  return k ? k->name : nullptr;
}
EXPORT Job *pool_serve(Pool *p) { return serve(*p); }
EXPORT void pool_help(Pool *p, int32_t me) { help(*p, me); }
// One slice of a job on the calling thread: Done, Aborted or More.
EXPORT int32_t pool_slice(Pool *p, Job *job, double us) { return run_job(*p, *job, now() + us); }
