// One leader and its helpers. The leader takes jobs in order and walks their launches; threads claim chunks from one counter.
//
// ticket = generation << 32 | chunks not yet claimed. A claim is a compare-and-swap that takes one away, so it can only succeed
// while its launch is the current one; from then until the claimed chunk is reported in `done` the launch cannot end, so reading
// it needs no lock. The leader takes chunks itself and waits only for claimed ones: a helper that never wakes up costs nothing.
#pragma once
#include "futex.h"
#include "program.h"

typedef const Kernel *(*KernelList)(int32_t);

static const uint32_t queueSize = 1024; // the host keeps fewer jobs than this in flight

struct Pool {
  alignas(64) uint64_t ticket;
  alignas(64) uint32_t done;
  alignas(64) uint32_t epoch; // changes when sleeping helpers should look again
  uint32_t sleepers, stop;
  alignas(64) uint32_t head, tail, idle; // jobs taken, jobs submitted, leader asleep
  alignas(64) Launch launch;
  const Kernel *kernel;
  uint8_t *scratch;
  int64_t scratchBytes;
  Job *running;
  uint32_t total, generation;
  int32_t threads;
  KernelList kernels;
  double (*now)(); // µs
  Job *queue[queueSize];
};

#if defined(__wasm__) // has neither a pause nor a yield
static const int spins = 40000, yields = 0;
#else
static const int spins = 4000, yields = 400;
#endif

// Takes chunks of the current launch until none is left, then reports how many it ran.
static inline void help_once(Pool &p, int32_t me) {
  uint32_t ran = 0;
  uint64_t t = LOAD(&p.ticket);
  while ((uint32_t)t != 0) {
    if (!__atomic_compare_exchange_n(&p.ticket, &t, t - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    p.kernel->run(p.launch, (int64_t)p.total - (uint32_t)t, p.scratch + me * p.scratchBytes);
    ran++;
    t = LOAD(&p.ticket);
  }
  if (ran > 0) ADD(&p.done, ran);
}

// A helper's life.
static inline void help(Pool &p, int32_t me) {
  for (int idle = 0; !LOAD(&p.stop);) {
    if ((uint32_t)LOAD(&p.ticket) != 0) {
      help_once(p, me);
      idle = 0;
    } else if (++idle < spins) cpu_pause();
    else if (idle < spins + yields) cpu_yield();
    else {
      uint32_t seen = LOAD(&p.epoch);
      ADD(&p.sleepers, 1u);
      if ((uint32_t)LOAD(&p.ticket) == 0 && !LOAD(&p.stop)) futex_wait(&p.epoch, seen, -1);
      ADD(&p.sleepers, (uint32_t)-1);
      idle = 0;
    }
  }
}

static inline void wait_done(Pool &p, uint32_t expected) {
  for (int i = 0;; i++) {
    uint32_t seen = LOAD(&p.done);
    if (seen == expected) return;
    if (i < spins) cpu_pause();
    else {
      cpu_yield();
#if defined(__wasm__)
      futex_wait(&p.done, seen, 50000);
#endif
    }
  }
}

// Shares one launch with the helpers; false when aborted (every claimed chunk has still ended).
static inline bool share(Pool &p, Job &job, uint32_t chunks) {
  p.total = chunks;
  p.generation++;
  STORE(&p.done, 0u);
  STORE(&p.ticket, (uint64_t)p.generation << 32 | chunks);
  uint32_t asleep = LOAD(&p.sleepers);
  if (asleep > 0) {
    ADD(&p.epoch, 1u);
    futex_wake(&p.epoch, asleep < chunks ? asleep : chunks);
  }
  uint32_t ran = 0;
  for (uint64_t t = LOAD(&p.ticket); (uint32_t)t != 0;) {
    if (LOAD(&job.abort)) {
      t = __atomic_exchange_n(&p.ticket, (uint64_t)p.generation << 32, __ATOMIC_SEQ_CST);
      ADD(&p.done, ran);
      wait_done(p, chunks - (uint32_t)t);
      return false;
    }
    if (!__atomic_compare_exchange_n(&p.ticket, &t, t - 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) continue;
    p.kernel->run(p.launch, (int64_t)chunks - (uint32_t)t, p.scratch);
    ran++;
    t = LOAD(&p.ticket);
  }
  ADD(&p.done, ran);
  wait_done(p, chunks);
  return true;
}

// Runs a job from where it stands, on the leader. `until` (µs of p.now) > 0: gives up the thread after it, resumable at a chunk.
static inline int32_t run_job(Pool &p, Job &job, double until) {
  const double *program = address<double>(job.program);
  const double *cell = program + (job.cursor > 0 ? (int64_t)job.cursor : 1);
  double *profile = address<double>(job.profile);
  p.scratch = address<uint8_t>(job.scratch);
  p.scratchBytes = (int64_t)job.scratchBytes;
  int64_t launches = (int64_t)program[0];
  for (int64_t i = (int64_t)job.launch; i < launches; i++) {
    if (LOAD(&job.abort)) return job.status = Aborted;
    double begin = profile ? p.now() : 0;
    int32_t kernel;
    const double *next = read_launch(job, cell, p.threads, p.launch, kernel);
    p.kernel = p.kernels(kernel);
    int64_t chunks = p.kernel->chunks(p.launch), chunk = (int64_t)job.chunk;
    if (chunks > 1 && p.threads > 1) {
      if (!share(p, job, (uint32_t)chunks)) return job.status = Aborted;
    } else {
      for (; chunk < chunks; chunk++) {
        if (LOAD(&job.abort)) return job.status = Aborted;
        if (until > 0 && p.now() > until) {
          job.launch = (double)i;
          job.cursor = (double)(cell - program);
          job.chunk = (double)chunk;
          if (profile) profile[i] += p.now() - begin;
          return job.status = More;
        }
        p.kernel->run(p.launch, chunk, p.scratch);
      }
    }
    if (profile) profile[i] += p.now() - begin;
    job.chunk = 0;
    cell = next;
  }
  return job.status = Done;
}

static inline void submit(Pool &p, Job *job) {
  uint32_t tail = p.tail;
  p.queue[tail % queueSize] = job;
  STORE(&p.tail, tail + 1);
  if (LOAD(&p.idle)) futex_wake(&p.tail, 1);
}

// The leader's next job, run to its end; null when the pool stops.
static inline Job *serve(Pool &p) {
  for (int i = 0;; i++) {
    uint32_t tail = LOAD(&p.tail);
    if (tail != p.head) break;
    if (i < spins) cpu_pause();
    else {
      STORE(&p.idle, 1u);
      if (LOAD(&p.tail) == tail) futex_wait(&p.tail, tail, -1);
      STORE(&p.idle, 0u);
    }
  }
  Job *job = p.queue[p.head % queueSize];
  p.head++;
  if (job) {
    STORE(&p.running, job);
    run_job(p, *job, 0);
    STORE(&p.running, (Job *)nullptr);
  }
  return job;
}

// Ends the helpers and, after the jobs already submitted, the leader.
static inline void stop(Pool &p) {
  STORE(&p.stop, 1u);
  ADD(&p.epoch, 1u);
  futex_wake(&p.epoch, 0x7fffffff);
  submit(p, nullptr);
}
