import { headsOf } from '@attune/attention-heads'
import type { LoadedModel } from '@attune/kit'
import { type Model, type Probe, variantOf } from '@attune/models'
import { type Bound, bindParams, type LinearSpec, underPrefix } from '@attune/nn'
import { bindPosition, ropeFrequencies } from '@attune/position'
import { copyOf, tensor } from '@attune/tensor'

/** How much each token of a prompt attends to each token before it, for every head of a layer. */
export interface HeadMap {
  readonly layer: number
  readonly tokens: readonly string[]
  /** Per query head: weights (T, T), row = the token that looks. */
  readonly heads: readonly Float32Array[]
  /** Key head that each query head reads. */
  readonly keyHeads: readonly number[]
}

/** Attention weights of one layer on a real prompt of at most `runner.chunk` tokens; undefined for variants without heads of queries and keys. */
export async function headMap(
  model: LoadedModel,
  layer: number,
  ids: readonly number[],
  signal?: AbortSignal,
): Promise<HeadMap | undefined> {
  const { variant, config } = model.model.spec.layers[layer].attention
  const layout = headsOf(variant, config)
  if (!layout) return undefined
  const sequence = model.runner.open()
  try {
    const { q, k } = await model.runner.turn(
      [{ sequence, ids, span: ids.length }],
      queriesAndKeys(model.model, layer, ids.length),
      async r => ({ q: (await r.read('q')).data, k: (await r.read('k')).data }),
      { signal },
    )
    const tokens = ids.map(id => model.tokenizer.decode([id], { special: true }))
    return { layer, tokens, heads: layout.map.map((g, h) => weights(q, k, ids.length, h, g, layout)), keyHeads: layout.map }
  } finally {
    model.runner.close(sequence)
  }
}

/** Turned queries `q` (T, heads, d) and keys `k` (T, kvHeads, d) of a layer. */
function queriesAndKeys({ spec, variants, values }: Model, index: number, span: number): Probe {
  return {
    key: `head-map${index}.${span}`,
    build(result, { tokens }) {
      const layer = spec.layers[index]
      const params = variantOf(variants, layer).params(layer.attention.config)
      const own = bindParams(params, underPrefix(values, `layers.${index}.attention`)) as unknown as Bound<{ q: LinearSpec; k: LinearSpec }>
      const position = bindPosition(layer.attention.position, tokens.position, rope => {
        const { values, factor } = ropeFrequencies(rope, span)
        return { frequencies: tensor(values, [values.length]), factor }
      })
      const x = result.attentionInputs[index]
      return { outputs: { q: copyOf(position.rotate(own.q(x))), k: copyOf(position.rotate(own.k(x))) } }
    },
  }
}

function weights(
  q: ArrayLike<number>,
  k: ArrayLike<number>,
  count: number,
  head: number,
  keyHead: number,
  { heads, kvHeads, headDim }: { heads: number; kvHeads: number; headDim: number },
): Float32Array {
  const out = new Float32Array(count * count)
  for (let t = 0; t < count; t++) {
    const row = out.subarray(t * count, t * count + t + 1)
    for (let s = 0; s <= t; s++) {
      let dot = 0
      for (let i = 0; i < headDim; i++) dot += q[(t * heads + head) * headDim + i] * k[(s * kvHeads + keyHead) * headDim + i]
      row[s] = dot / Math.sqrt(headDim)
    }
    const top = row.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
    const total = row.reduce((sum, x, s) => sum + (row[s] = Math.exp(x - top)), 0)
    for (let s = 0; s <= t; s++) row[s] /= total
  }
  return out
}
