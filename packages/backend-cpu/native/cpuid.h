// The instruction sets this build has kernels for, best first, and whether this processor (and its operating system) runs them.
// Own CPUID and XGETBV reading: __builtin_cpu_supports is unreliable in libraries loaded at run time.
#pragma once
#include "kernel.h"
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define INSTRUCTION_SETS(each) each(avx512) each(avx2) each(sse2) each(neon)
#ifdef WITH_avx512
extern "C" const Kernel *kernels_avx512(int32_t);
#else
#define kernels_avx512 nullptr
#endif
#ifdef WITH_avx2
extern "C" const Kernel *kernels_avx2(int32_t);
#else
#define kernels_avx2 nullptr
#endif
#ifdef WITH_sse2
extern "C" const Kernel *kernels_sse2(int32_t);
#else
#define kernels_sse2 nullptr
#endif
#ifdef WITH_neon
extern "C" const Kernel *kernels_neon(int32_t);
#else
#define kernels_neon nullptr
#endif

#if defined(__x86_64__)
static uint64_t xgetbv() {
  uint32_t a, d;
  __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
  return (uint64_t)d << 32 | a;
}
// 0: SSE2, 1: AVX2 + FMA + F16C, 2: AVX-512 F BW VL DQ VNNI
static int x86_level() {
  unsigned a, b, c, d;
  const unsigned fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;
  if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (fma | osxsave | f16c)) != (fma | osxsave | f16c)) return 0;
  uint64_t saved = xgetbv(); // registers the operating system saves: 6 = xmm, ymm; e0 = opmask, zmm
  if ((saved & 6) != 6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & 1u << 5)) return 0;
  const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31, vnni = 1u << 11;
  return (saved & 0xe0) == 0xe0 && (b & (f | dq | bw | vl)) == (f | dq | bw | vl) && (c & vnni) ? 2 : 1;
}
static bool cpu_has_avx512() { return x86_level() >= 2; }
static bool cpu_has_avx2() { return x86_level() >= 1; }
static bool cpu_has_sse2() { return true; }
static bool cpu_has_neon() { return false; }
#else
static bool cpu_has_avx512() { return false; }
static bool cpu_has_avx2() { return false; }
static bool cpu_has_sse2() { return false; }
static bool cpu_has_neon() { return true; }
#endif

struct InstructionSet {
  const char *name;
  const Kernel *(*kernels)(int32_t); // null: not in this build
  bool (*supported)();
};
#define ROW(isa) {#isa, kernels_##isa, cpu_has_##isa},
static const InstructionSet instructionSets[] = {INSTRUCTION_SETS(ROW)};
