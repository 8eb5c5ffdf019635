import type { CacheManager } from '@attune/cache'
import { type Model, Runner } from '@attune/models'
import type { Device } from '@attune/tensor'
import { attentionOutput } from './tiny-model.ts'

export interface Driven {
  /** First layer's attention output, one row of `dim` numbers per token. */
  readonly out: Float32Array
  readonly logits: Float32Array
}

/** Feeds `ids` in pieces of the given sizes and joins the results. */
export async function drive(
  model: Model,
  device: Device,
  ids: readonly number[],
  pieces: readonly number[] = [ids.length],
  cache?: CacheManager,
): Promise<Driven> {
  const mass = cache?.policy?.observes.mass
  const runner = new Runner(model, device, { cache, chunk: Math.max(...pieces, typeof mass === 'number' ? mass : 1) })
  const sequence = runner.open()
  const out: number[] = []
  const logits: number[] = []
  let at = 0
  for (const n of pieces) {
    const r = await runner.step([{ sequence, ids: ids.slice(at, at + n), span: ids.length }], attentionOutput)
    for (const x of (await r.read('out')).data) out.push(x)
    for (const x of (await r.read('logits')).data) logits.push(x)
    at += n
  }
  await runner.dispose()
  return { out: Float32Array.from(out), logits: Float32Array.from(logits) }
}

/** Normalised mean squared error Σ(a−b)² / Σb²; Infinity when anything is not finite. */
export function nmse(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY
  let error = 0
  let norm = 0
  for (let i = 0; i < b.length; i++) {
    error += (a[i] - b[i]) ** 2
    norm += b[i] ** 2
  }
  return Number.isFinite(error) ? error / Math.max(norm, 1e-30) : Number.POSITIVE_INFINITY
}
export const tokens = (n: number, vocab = 50, seed = 3): number[] =>
  Array.from({ length: n }, (_, i) => ((i + 1) * (seed * 2 + 7) + ((i * i) % 11)) % vocab)
