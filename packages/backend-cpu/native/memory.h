// Memory of the native device, straight from the operating system: zero-filled, aligned to 64 bytes, resident only once touched.
#pragma once
#if defined(_WIN32)
#include "memory-windows.h"
#else
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static const size_t mapFrom = 1 << 16; // smaller blocks come from the heap

static void *memory_alloc(size_t bytes) {
  if (bytes < mapFrom) {
    void *p = nullptr;
    if (posix_memalign(&p, 64, bytes ? bytes : 64)) return nullptr;
    return memset(p, 0, bytes);
  }
  void *p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  if (bytes >= 8u << 20) madvise(p, bytes, MADV_HUGEPAGE);
#endif
  return p;
}
static void memory_free(void *p, size_t bytes) {
  if (bytes < mapFrom) free(p);
  else munmap(p, bytes);
}

// Bytes [offset, offset + bytes) of a file, read-only and shared with the page cache. `error` names what failed.
struct Mapping { uint8_t *base; size_t mapped; uint8_t *data; };
static bool memory_map(const char *path, size_t offset, size_t bytes, Mapping &out, const char *&error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) { error = "cannot be opened"; return false; }
  struct stat info;
  if (fstat(file, &info) != 0 || (uint64_t)info.st_size < (uint64_t)offset + bytes) error = "is shorter than the range asked for";
  else {
    size_t start = offset & ~(size_t)(sysconf(_SC_PAGESIZE) - 1);
    out.mapped = offset - start + bytes;
    void *p = mmap(nullptr, out.mapped, PROT_READ, MAP_SHARED, file, (off_t)start);
    if (p == MAP_FAILED) error = "cannot be mapped into memory";
    else { out.base = (uint8_t *)p; out.data = out.base + (offset - start); }
  }
  close(file);
  return !error;
}
static void memory_unmap(void *base, size_t mapped) { munmap(base, mapped); }

// A file that becomes shorter while it is mapped: touching what it lost is SIGBUS, which ends the process. Where the address lies in one of
// our mappings, the page becomes zeros and the mapping is marked instead; `memory_lost` tells. Every other SIGBUS goes where it went before.
struct Watched { uintptr_t from, to; int32_t lost; };
static const int32_t watchedMost = 4096;
static Watched watched[watchedMost];
static struct sigaction beforeUs;
static long pageSize;

static void on_sigbus(int signal, siginfo_t *info, void *context) {
  uintptr_t at = (uintptr_t)info->si_addr;
  for (int32_t i = 0; i < watchedMost; i++) {
    if (at < __atomic_load_n(&watched[i].from, __ATOMIC_SEQ_CST) || at >= __atomic_load_n(&watched[i].to, __ATOMIC_SEQ_CST)) continue;
    void *page = (void *)(at & ~(uintptr_t)(pageSize - 1));
    if (mmap(page, (size_t)pageSize, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) break;
    __atomic_store_n(&watched[i].lost, 1, __ATOMIC_SEQ_CST);
    return;
  }
  if (beforeUs.sa_flags & SA_SIGINFO) beforeUs.sa_sigaction(signal, info, context);
  else if (beforeUs.sa_handler != SIG_DFL && beforeUs.sa_handler != SIG_IGN) beforeUs.sa_handler(signal);
  else sigaction(SIGBUS, &beforeUs, nullptr); // and the instruction that runs again ends the process
}
// Whether the mapping is watched: false when there are too many.
static bool memory_watch(void *base, size_t mapped) {
  if (pageSize == 0) {
    pageSize = sysconf(_SC_PAGESIZE);
    struct sigaction ours = {};
    ours.sa_sigaction = on_sigbus;
    ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGBUS, &ours, &beforeUs);
  }
  for (Watched &w : watched) {
    uintptr_t none = 0;
    if (!__atomic_compare_exchange_n(&w.from, &none, (uintptr_t)base, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    __atomic_store_n(&w.lost, 0, __ATOMIC_SEQ_CST);
    __atomic_store_n(&w.to, (uintptr_t)base + mapped, __ATOMIC_SEQ_CST);
    return true;
  }
  return false;
}
static void memory_unwatch(void *base) {
  for (Watched &w : watched)
    if (w.from == (uintptr_t)base) {
      __atomic_store_n(&w.to, (uintptr_t)0, __ATOMIC_SEQ_CST);
      __atomic_store_n(&w.from, (uintptr_t)0, __ATOMIC_SEQ_CST);
      return;
    }
}
static bool memory_lost(void *base) {
  for (Watched &w : watched)
    if (w.from == (uintptr_t)base) return __atomic_load_n(&w.lost, __ATOMIC_SEQ_CST) != 0;
  return false;
}
#endif
