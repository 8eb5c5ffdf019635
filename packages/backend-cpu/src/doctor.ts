import type { NativeIsa } from './addon.ts'

/** Which build of the kernels a device runs, and why. */
export interface Doctor {
  readonly backend: 'native' | 'wasm'
  readonly isa: string
  readonly threads: number
  /** Where the native addon in use came from: the package prebuilt for this platform, or a file. */
  readonly addon?: string
  /** Native instruction sets, best first; empty without the addon. */
  readonly native: readonly NativeIsa[]
  /** One sentence per reason why something faster is not in use. */
  readonly reasons: readonly string[]
}

/** The best instruction set of the addon on this processor; `undefined` when none runs here. */
export const bestIsa = (isas: readonly NativeIsa[]): NativeIsa | undefined => isas.find(i => i.built && i.supported)

/** Sets the processor has and the addon was built without. */
export const missingIsas = (isas: readonly NativeIsa[]): string[] => {
  const best = isas.findIndex(i => i.built && i.supported)
  return isas.filter((i, at) => i.supported && !i.built && (best < 0 || at < best)).map(i => i.name)
}
