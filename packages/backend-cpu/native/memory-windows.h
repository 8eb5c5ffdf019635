// See memory.h.
#pragma once
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "windows-api.h"

static const size_t mapFrom = 1 << 16; // smaller blocks come from the heap

static void *memory_alloc(size_t bytes) {
  if (bytes >= mapFrom) return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE);
  void *p = _aligned_malloc(bytes ? bytes : 64, 64);
  return p ? memset(p, 0, bytes) : nullptr;
}
static void memory_free(void *p, size_t bytes) {
  if (bytes < mapFrom) _aligned_free(p);
  else VirtualFree(p, 0, MEM_RELEASE);
}

struct Mapping { uint8_t *base; size_t mapped; uint8_t *data; };
static bool memory_map(const char *path, size_t offset, size_t bytes, Mapping &out, const char *&error) {
  int count = MultiByteToWideChar(CP_UTF8, 0, path, -1, nullptr, 0);
  wchar_t *wide = (wchar_t *)malloc(sizeof(wchar_t) * (size_t)(count + 1));
  MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, count);
  HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr, OPEN_EXISTING, 0, nullptr);
  free(wide);
  if (file == INVALID_HANDLE_VALUE) { error = "cannot be opened"; return false; }
  LARGE_INTEGER size;
  if (!GetFileSizeEx(file, &size) || (uint64_t)size.QuadPart < (uint64_t)offset + bytes) error = "is shorter than the range asked for";
  else {
    SYSTEM_INFO system;
    GetSystemInfo(&system);
    uint64_t start = offset & ~(uint64_t)(system.dwAllocationGranularity - 1);
    out.mapped = offset - start + bytes;
    HANDLE section = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    void *p = section ? MapViewOfFile(section, FILE_MAP_READ, (DWORD)(start >> 32), (DWORD)start, out.mapped) : nullptr;
    if (section) CloseHandle(section); // the view keeps it
    if (!p) error = "cannot be mapped into memory";
    else { out.base = (uint8_t *)p; out.data = out.base + (offset - start); }
  }
  CloseHandle(file);
  return !error;
}
static void memory_unmap(void *base, size_t) { UnmapViewOfFile(base); }

// The system keeps a file that is mapped from becoming shorter.
static bool memory_watch(void *, size_t) { return true; }
static void memory_unwatch(void *) {}
static bool memory_lost(void *) { return false; }
