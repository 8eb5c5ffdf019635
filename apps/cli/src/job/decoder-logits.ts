import { allLogits, hiddenStates, type Runner, type Sequence } from '@attune/models'
import { fromValue, type TensorSource } from '@attune/weights'
import type { LoadedModel } from 'attune'
import { type LogitInput, readLogitInputs, type TokenRows } from '../logit-inputs.ts'

/** Tensors of a language model's logits for the batches of an inputs file, made while they are written: NAME.logits, NAME.hidden_states.i. */
export async function decoderLogits(
  model: LoadedModel,
  file: string,
  { hidden: wanted, note }: { readonly hidden: boolean; note(text: string): void },
): Promise<TensorSource[]> {
  const { runner } = model
  const { spec } = model.model
  const inputs = await readLogitInputs(file, spec.encoder ? 'encoder-decoder' : 'decoder', spec.vocab)
  const blocks = spec.layers.length / (spec.layersPerBlock ?? 1)
  return inputs.flatMap(input => {
    const shape = [input.ids.length, input.ids[0].length] as const
    const hidden = Array.from({ length: wanted ? blocks + 1 : 0 }, () => new Float32Array(shape[0] * shape[1] * spec.dim))
    const logits: TensorSource = {
      name: `${input.name}.logits`,
      dtype: 'f32',
      shape: [...shape, spec.vocab],
      async *pieces(signal) {
        note(`${input.name}: ${shape[0]} × ${shape[1]} tokens`)
        for (let row = 0; row < shape[0]; row++) yield* rowLogits(model, input, row, hidden, signal)
      },
    }
    const states = spec.encoder ? 'decoder_hidden_states' : 'hidden_states'
    return [logits, ...hidden.map((data, i) => statesOf(`${input.name}.${states}.${i}`, [...shape, spec.dim], data))]
  })
  async function opened({ memory }: LogitInput, row: number, signal?: AbortSignal): Promise<Sequence> {
    return memory ? model.sequenceAbout(realIds(memory, row), signal) : runner.open()
  }
  /** Logits of one row in order, zeros where it is padded; its hidden states go to `hidden`. */
  async function* rowLogits(
    { runner }: { readonly runner: Runner },
    input: LogitInput,
    row: number,
    hidden: readonly Float32Array[],
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { ids, mask, positions } = input
    const { vocab, dim } = spec
    const width = ids[row].length
    const real = ids[row].flatMap((_, t) => (mask[row][t] ? [t] : []))
    const span = 1 + Math.max(...positions.flatMap((p, r) => p.filter((_, t) => mask[r][t])))
    const sequence = await opened(input, row, signal)
    try {
      let next = 0
      for (let from = 0; from < real.length; from += runner.chunk) {
        const piece = real.slice(from, from + runner.chunk)
        const rows = await runner.turn(
          [{ sequence, ids: piece.map(t => ids[row][t]), positions: piece.map(t => positions[row][t]), span }],
          hidden.length > 0 ? hiddenStates : allLogits,
          async r => {
            for (const [i, all] of hidden.entries()) {
              const { data } = await r.read(`hidden.${i}`)
              piece.forEach((t, n) => all.set(data.subarray(n * dim, (n + 1) * dim) as Float32Array, (row * width + t) * dim))
            }
            return (await r.read('logits')).data as Float32Array
          },
          { signal },
        )
        for (const [n, t] of piece.entries()) {
          if (t > next) yield new Uint8Array((t - next) * vocab * 4)
          next = t + 1
          yield new Uint8Array(rows.buffer, rows.byteOffset + n * vocab * 4, vocab * 4)
        }
      }
      if (next < width) yield new Uint8Array((width - next) * vocab * 4)
    } finally {
      runner.close(sequence)
    }
  }
}

/** The ids of a row that are no padding. */
export const realIds = ({ ids, mask }: TokenRows, row: number): number[] => ids[row].filter((_, t) => mask[row][t])

/** A tensor of numbers that are ready when the file gets to it. */
export const statesOf = (name: string, shape: readonly number[], data: Float32Array): TensorSource =>
  fromValue(name, 'f32', shape, () => ({ dtype: 'f32', shape, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }))
