import type { States } from '@attune/cache'
import { bindParams, type ParamTree, underPrefix } from '@attune/nn'
import { type Graph, input, length, type Tensor } from '@attune/tensor'
import { variantOf } from './layers.ts'
import type { Model } from './model.ts'
import { stepTokens } from './step-graph.ts'

/**
 * The graph that fills the memory axes of all layers from an encoder's output: input `memory` (M, dim), its rows flat over the batch
 * rows as tokens are in a step; at most `rows` of them.
 */
export function memoryGraph({ spec, variants, values }: Model, states: States, rows: number, dim: number): Graph {
  const tokens = stepTokens(length('tokens', rows), states.batchRows)
  const memory = input('memory', 'f32', [tokens.count, dim])
  const effects: Tensor[] = []
  for (const [i, layer] of spec.layers.entries()) {
    const variant = variantOf(variants, layer)
    if (!variant.remember) continue
    const { config } = layer.attention
    const params = bindParams(variant.params(config) as ParamTree, underPrefix(values, `layers.${i}.attention`))
    states.memory.store(i, variant.state(config), variant.remember({ memory, params, config }), tokens, effects)
  }
  return { outputs: {}, effects }
}

/** Inputs of the memory step for one batch row. */
export function memoryInputs(
  memory: Float32Array,
  rows: number,
  row: number,
  batchRows: number,
): Record<string, Int32Array | Float32Array> {
  const at = Int32Array.from({ length: rows }, (_, i) => i)
  const offsets = Int32Array.from({ length: batchRows + 1 }, (_, b) => (b > row ? rows : 0))
  return { memory, batch: new Int32Array(rows).fill(row), row: at, position: at, offsets }
}
