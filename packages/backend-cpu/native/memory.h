// Memory of the native device, straight from the operating system: zero-filled, aligned to 64 bytes, resident only once touched.
#pragma once
#if defined(_WIN32)
#include "memory-windows.h"
#else
#include <fcntl.h>
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
#endif
