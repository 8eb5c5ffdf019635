import type { ConfigReader } from './config-reader.ts'

/** Which layers hold mixtures: every `decoder_sparse_step`-th, but those of `mlp_only_layers`. */
export function sparseLayers(c: ConfigReader, layers: number): boolean[] {
  const every = c.count('decoder_sparse_step', 1)
  const plain = c.indices('mlp_only_layers', layers)
  return Array.from({ length: layers }, (_, i) => (i + 1) % every === 0 && !plain.includes(i))
}
