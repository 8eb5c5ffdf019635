import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

export const common = ['-std=c++17', '-O3', '-fPIC', '-fno-exceptions', '-fno-rtti', '-fvisibility=hidden', '-ffp-contract=off']

/** Flags of each instruction set; `-ffp-contract=off`: only an explicit vfma fuses, so results do not depend on the compiler. @type {Record<string, string[]>} */
const flags = {
  sse2: ['-msse2', '-O2'], // no processor of the last ten years runs it: half the time to compile
  avx2: ['-mavx2', '-mfma', '-mf16c'],
  avx512: ['-mavx2', '-mfma', '-mf16c', '-mavx512f', '-mavx512bw', '-mavx512vl', '-mavx512dq', '-mavx512vnni'],
  neon: [],
}

/** Instruction sets by processor, best first. @type {Record<string, string[]>} */
export const isas = { x64: ['avx512', 'avx2', 'sse2'], arm64: ['neon'] }

/** What one addon is compiled from: the kernels once per instruction set, and the addon. @param {string[]} sets */
export const unitsOf = sets => [
  ...sets.map(isa => ({ source: 'kernels.cpp', flags: [`-DISA=${isa}`, ...flags[isa]] })),
  { source: 'addon.cpp', flags: [...sets.map(isa => `-DWITH_${isa}`), `-I${join(headers, 'include')}`] },
]

/** Node's own: https://github.com/nodejs/node-api-headers */
export const headers = dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json'))
