import { type EncoderItem, encoderStates } from '@attune/models'
import type { TensorSource } from '@attune/weights'
import type { LoadedEncoder } from 'attune'
import { readImageInputs, readLogitInputs, type TokenRows } from '../logit-inputs.ts'
import { realIds, statesOf } from './decoder-logits.ts'

/** Tensors that an encoder makes of the batches of an inputs file: NAME.logits or NAME.pooled of its head, NAME.hidden_states.i. */
export async function encoderLogits(model: LoadedEncoder, file: string, { hidden }: { readonly hidden: boolean }): Promise<TensorSource[]> {
  const { input, head } = model.model.spec
  if (input.kind === 'patches') {
    const batches = await readImageInputs(file)
    const made = batches.map(({ name, images }) => encoded(model, name, images.map(image => ({ image })), hidden)) // biome-ignore format: one line
    return (await Promise.all(made)).flat()
  }
  const batches = await readLogitInputs(file, 'encoder', input.vocab)
  const made = batches.map(batch => encoded(model, batch.name, batch.ids.map((_, r) => itemOf(batch, r)), hidden || !head, batch)) // biome-ignore format: one line
  return (await Promise.all(made)).flat()
}

const itemOf = (rows: TokenRows, r: number): EncoderItem => ({
  ids: realIds(rows, r),
  ...(rows.types ? { types: rows.types[r].filter((_, t) => rows.mask[r][t]) } : {}),
})

/** Runs one batch; rows of tokens are put back where padding was left out, zeros there. */
async function encoded(
  { encoder, model }: LoadedEncoder,
  name: string,
  items: readonly EncoderItem[],
  hidden: boolean,
  padded?: TokenRows,
): Promise<TensorSource[]> {
  const { head, dim, layers } = model.spec
  return encoder.run(items, encoderStates, async (r, counts) => {
    const places = padded?.mask.flat().flatMap((on, i) => (on ? [i] : []))
    const shape = [items.length, padded ? padded.ids[0].length : counts[0]]
    const whole = (data: Float32Array, width: number): Float32Array => {
      if (!places) return data.slice(0, shape[0] * shape[1] * width)
      const out = new Float32Array(shape[0] * shape[1] * width)
      for (const [n, at] of places.entries()) out.set(data.subarray(n * width, (n + 1) * width), at * width)
      return out
    }
    const read = async (output: string) => (await r.read(output)).data as Float32Array
    const made: TensorSource[] = []
    if (head) {
      const data = await read('head')
      const what = `${name}.${head.gives}`
      if (head.of === 'tokens') made.push(statesOf(what, [...shape, head.size], whole(data, head.size)))
      else made.push(statesOf(what, [items.length, head.size], data.slice(0, items.length * head.size)))
    }
    for (let i = 0; hidden && i <= layers.length; i++)
      made.push(statesOf(`${name}.hidden_states.${i}`, [...shape, dim], whole(await read(`hidden.${i}`), dim)))
    return made
  })
}
