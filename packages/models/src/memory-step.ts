import { bucket, type States } from '@attune/cache'
import { bindParams, type ParamTree, underPrefix } from '@attune/nn'
import { AttuneError, type Graph, input, length, type Recording, type Tensor } from '@attune/tensor'
import { variantOf } from './layers.ts'
import type { Model } from './model.ts'
import { stepTokens } from './step-graph.ts'

/** Rows of an encoder's output (rows, dim). Errors: `ERR_UNSUPPORTED` for a model without a memory axis, `ERR_SHAPE` for a broken row. */
export function memoryRows(model: Model, states: States, memory: Float32Array, dim: number): number {
  const rows = memory.length / dim
  if (!states.memory.present)
    throw new AttuneError('ERR_UNSUPPORTED', `no layer of a model of type '${model.spec.type}' attends to an encoder's output`, {})
  if (!Number.isInteger(rows) || rows < 1)
    throw new AttuneError('ERR_SHAPE', `${memory.length} numbers are no rows of ${dim}`, { dim, numbers: memory.length })
  return rows
}

/** Fills the memory axes of all layers of one batch row. */
export async function storeMemory(
  model: Model,
  states: States,
  recorded: (name: string, graph: () => Graph) => Promise<Recording>,
  o: { readonly memory: Float32Array; readonly rows: number; readonly dim: number; readonly row: number; readonly signal?: AbortSignal },
): Promise<void> {
  await states.memory.reserve(states.batchRows, o.rows)
  const capacity = bucket(o.rows)
  const recording = await recorded(['memory', capacity, o.dim].join('|'), () => memoryGraph(model, states, capacity, o.dim))
  const inputs = memoryInputs(o.memory, o.rows, o.row, states.batchRows)
  await recording.run({ lengths: { tokens: o.rows }, inputs, states: states.buffers(), signal: o.signal })
  states.memory.set(o.row, o.rows)
}

/**
 * The graph that fills the memory axes of all layers from an encoder's output: input `memory` (M, dim), its rows flat over the batch
 * rows as tokens are in a step; at most `rows` of them.
 */
function memoryGraph({ spec, variants, values }: Model, states: States, rows: number, dim: number): Graph {
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
function memoryInputs(memory: Float32Array, rows: number, row: number, batchRows: number): Record<string, Int32Array | Float32Array> {
  const at = Int32Array.from({ length: rows }, (_, i) => i)
  const offsets = Int32Array.from({ length: batchRows + 1 }, (_, b) => (b > row ? rows : 0))
  return { memory, batch: new Int32Array(rows).fill(row), row: at, position: at, offsets }
}
