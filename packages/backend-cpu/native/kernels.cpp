// The kernels, compiled once per instruction set (-DISA=sse2 | avx2 | avx512 | neon | wasm). A new kernel header is one include
// line and one line of the list.
#include "kernel.h"
#include "simd.h"

#include "attend.h"
#include "conv1d.h"
#include "copy.h"
#include "experts.h"
#include "gather.h"
#include "linear_packed.h"
#include "map.h"
#include "matmul.h"
#include "norm.h"
#include "random.h"
#include "reduce.h"
#include "rope.h"
#include "sample.h"
#include "scan.h"
#include "topk.h"

namespace ISA {

#define TABLE(t) {t, (int32_t)(sizeof(t) / sizeof(t[0]))}
static const struct { const Kernel *kernels; int32_t count; } tables[] = {
  TABLE(attendKernels),
  TABLE(conv1dKernels),
  TABLE(copyKernels),
  TABLE(expertsKernels),
  TABLE(gatherKernels),
  TABLE(linearPackedKernels),
  TABLE(mapKernels),
  TABLE(matmulKernels),
  TABLE(normKernels),
  TABLE(randomKernels),
  TABLE(reduceKernels),
  TABLE(ropeKernels),
  TABLE(sampleKernels),
  TABLE(scanKernels),
  TABLE(topkKernels),
};

static const Kernel *at(int32_t i) {
  for (auto &t : tables) {
    if (i < t.count) return t.kernels + i;
    i -= t.count;
  }
  return nullptr;
}

} // namespace ISA

#define JOIN2(a, b) a##b
#define JOIN(a, b) JOIN2(a, b)
// The i-th kernel of this instruction set, or null past the end.
extern "C" const Kernel *JOIN(kernels_, ISA)(int32_t i) { return ISA::at(i); }
