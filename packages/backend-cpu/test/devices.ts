import { setFlagsFromString } from 'node:v8'
import { loadAddon } from '../src/addon.ts'
import { type CpuDevice, type CpuOptions, cpu } from '../src/index.ts'
import { hasRelaxedSimd } from '../src/wasm-module.ts'

export interface Build {
  readonly name: string
  readonly options: CpuOptions
}

/** The three ways a program runs: on native threads, on workers, in slices on the calling thread. */
export const builds: readonly Build[] = [
  { name: 'native', options: { backend: 'native' } },
  { name: 'wasm', options: { backend: 'wasm', isa: 'simd128' } },
  { name: 'wasm on one thread', options: { backend: 'wasm', isa: 'simd128', workers: false } },
]

/** Whether relaxed SIMD runs here, if need be once this engine's flag for it is set (Node 20). */
export function allowRelaxedSimd(): boolean {
  if (!hasRelaxedSimd()) setFlagsFromString('--experimental-wasm-relaxed-simd')
  return hasRelaxedSimd()
}

/** Every instruction set that runs on this machine: kernels are compared on each. */
export async function instructionSets(): Promise<readonly Build[]> {
  const native = await loadAddon().then(
    ({ isas }) => isas.filter(i => i.built && i.supported).map(i => i.name),
    () => [],
  )
  const relaxed = allowRelaxedSimd()
  return [
    ...native.map(isa => ({ name: isa, options: { backend: 'native', isa } as const })),
    { name: 'simd128', options: { backend: 'wasm', isa: 'simd128' } },
    ...(relaxed ? [{ name: 'relaxed-simd', options: { backend: 'wasm', isa: 'relaxed-simd' } as const }] : []),
  ]
}

/** Opens a device; test/setup.mjs has built the kernels. */
export const openCpu = (options: CpuOptions = {}): Promise<CpuDevice> => cpu(options)
