import { readFile } from 'node:fs/promises'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { allLogits, llama, type Model, modelFrom, Runner } from '@attune/models'
import { type Device, reference } from '@attune/tensor'
import { type Checkpoint, openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'

export const variants = new Map([mha, mqa, gqa].map(v => [v.name, v]))
export const device: Device = reference()
const root = new URL('../../models/test/fixtures/', import.meta.url)

const known = new Map<string, ReturnType<typeof open>>()
/** A tiny checkpoint with random weights, opened once. */
export function fixture(name: string): ReturnType<typeof open> {
  if (!known.has(name)) known.set(name, open(name))
  return known.get(name)!
}
async function open(name: string): Promise<{ checkpoint: Checkpoint; model: Model; ids: number[] }> {
  const checkpoint = await openCheckpoint(await diskFolder(new URL(name, root).pathname))
  const golden = JSON.parse(await readFile(new URL(`${name}/golden.json`, root), 'utf8'))
  return { checkpoint, model: modelFrom(checkpoint, llama, variants), ids: golden.inputs.B.input_ids[0] }
}

export async function logits(model: Model, ids: readonly number[]): Promise<Float32Array> {
  const runner = new Runner(model, device)
  try {
    const r = await runner.step([{ sequence: runner.open(), ids }], allLogits)
    return (await r.read('logits')).data as Float32Array
  } finally {
    await runner.dispose()
  }
}

export function worst(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let w = a.length === b.length ? 0 : Infinity
  for (let i = 0; i < a.length; i++) w = Math.max(w, Number.isNaN(a[i]) ? Infinity : Math.abs(a[i] - b[i]))
  return w
}

/** Tokens from a counter, the same every time. */
export const someIds = (count: number, vocab = 256): number[] =>
  Array.from({ length: count }, (_, i) => ((Math.imul(i + 1, 0x9e3779b1) >>> 16) * 7 + i) % vocab)
