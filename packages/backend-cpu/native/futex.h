// Sleeping on a 32-bit word until another thread changes it: Linux futex, WASM atomic.wait, WaitOnAddress of Windows, a parking lot
// elsewhere.
#pragma once
#include <stdint.h>

#define LOAD(p) __atomic_load_n(p, __ATOMIC_SEQ_CST)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_SEQ_CST)
#define ADD(p, v) __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST)

#if defined(__wasm__)
// Without shared memory there is one thread, which never gets here: waiting would trap.
static inline void futex_wait(uint32_t *word, uint32_t seen, int64_t ns) { __builtin_wasm_memory_atomic_wait32((int *)word, (int)seen, ns); }
static inline void futex_wake(uint32_t *word, uint32_t n) { __builtin_wasm_memory_atomic_notify((int *)word, n); }
static inline void cpu_pause() {}
static inline void cpu_yield() {}
#elif defined(_WIN32)
#include "windows-api.h"
static inline void futex_wait(uint32_t *word, uint32_t seen, int64_t ns) {
  WaitOnAddress(word, &seen, sizeof(seen), ns < 0 ? INFINITE : (DWORD)((ns + 999999) / 1000000));
}
static inline void futex_wake(uint32_t *word, uint32_t n) {
  if (n == 1) WakeByAddressSingle(word);
  else WakeByAddressAll(word);
}
static inline void cpu_pause() { YieldProcessor(); }
static inline void cpu_yield() { SwitchToThread(); }
#else
#include <limits.h>
#include <sched.h>
#include <time.h>
#if defined(__linux__)
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
// ns < 0: no limit
static inline void futex_wait(uint32_t *word, uint32_t seen, int64_t ns) {
  struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
  syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, ns < 0 ? nullptr : &t, nullptr, 0);
}
static inline void futex_wake(uint32_t *word, uint32_t n) { syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, nullptr, nullptr, 0); }
#else
#include <pthread.h>
static pthread_mutex_t parkingLock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t parking = PTHREAD_COND_INITIALIZER;
static inline void futex_wait(uint32_t *word, uint32_t seen, int64_t ns) {
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  int64_t at = until.tv_nsec + (ns < 0 ? 1000000000 : ns);
  until.tv_sec += at / 1000000000;
  until.tv_nsec = at % 1000000000;
  pthread_mutex_lock(&parkingLock);
  if (LOAD(word) == seen) pthread_cond_timedwait(&parking, &parkingLock, &until);
  pthread_mutex_unlock(&parkingLock);
}
static inline void futex_wake(uint32_t *, uint32_t) {
  pthread_mutex_lock(&parkingLock);
  pthread_cond_broadcast(&parking);
  pthread_mutex_unlock(&parkingLock);
}
#endif
static inline void cpu_pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}
static inline void cpu_yield() { sched_yield(); }
#endif
