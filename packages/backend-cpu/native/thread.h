// A thread of the system, and its clock.
#pragma once
#include <stdint.h>
#include <stdlib.h>

static const size_t threadStack = 1 << 20; // musl gives 128 KiB, macOS 512: the same everywhere

#if defined(_WIN32)
#include "windows-api.h"
typedef HANDLE Thread;
struct ThreadStart { void *(*main)(void *); void *arg; };

static DWORD WINAPI thread_main(void *p) {
  ThreadStart start = *(ThreadStart *)p;
  free(p);
  start.main(start.arg);
  return 0;
}
static bool thread_start(Thread &thread, void *(*main)(void *), void *arg) {
  ThreadStart *start = (ThreadStart *)malloc(sizeof(ThreadStart));
  *start = {main, arg};
  thread = CreateThread(nullptr, threadStack, thread_main, start, STACK_SIZE_PARAM_IS_A_RESERVATION, nullptr);
  if (!thread) free(start);
  return thread != nullptr;
}
static void thread_join(Thread thread) {
  WaitForSingleObject(thread, INFINITE);
  CloseHandle(thread);
}
// µs
static double now() {
  LARGE_INTEGER ticks, frequency;
  QueryPerformanceCounter(&ticks);
  QueryPerformanceFrequency(&frequency);
  return (double)ticks.QuadPart * 1e6 / (double)frequency.QuadPart;
}
#else
#include <pthread.h>
#include <time.h>
typedef pthread_t Thread;

static bool thread_start(Thread &thread, void *(*main)(void *), void *arg) {
  pthread_attr_t how;
  pthread_attr_init(&how);
  pthread_attr_setstacksize(&how, threadStack);
  bool started = pthread_create(&thread, &how, main, arg) == 0;
  pthread_attr_destroy(&how);
  return started;
}
static void thread_join(Thread thread) { pthread_join(thread, nullptr); }
// µs
static double now() {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}
#endif
