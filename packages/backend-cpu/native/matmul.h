// Matrix products of dense types; the plan picks by b's strides. bind: a f32, b, out f32, bias f32 or none; params as in gemm.h.
#pragma once
#include "gemm_nn.h"
#include "gemm_nt.h"

namespace ISA {

static const Kernel matmulKernels[] = {
  {"matmul_nn_f32", nn::chunks<float>, nn::run<float>}, {"matmul_nn_f16", nn::chunks<f16>, nn::run<f16>}, {"matmul_nn_bf16", nn::chunks<bf16>, nn::run<bf16>},
  {"matmul_nt_f32", nt::chunks<float>, nt::run<float>}, {"matmul_nt_f16", nt::chunks<f16>, nt::run<f16>}, {"matmul_nt_bf16", nt::chunks<bf16>, nt::run<bf16>},
};

} // namespace ISA
