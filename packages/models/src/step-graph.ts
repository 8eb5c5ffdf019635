import { maskOf, type StepTokens } from '@attune/attention'
import type { LayerStates, States } from '@attune/cache'
import { table, variable } from '@attune/expr'
import { frequenciesVary, type RopeOperands, type RopeSpec, readsKeyPositions, ropeEdge, ropeFrequencies } from '@attune/position'
import { type Dim, type Graph, input, length, mapExpr, type Storage, scatterRows, state, type Tensor, tensor } from '@attune/tensor'
import { type DecoderResult, decoder } from './decoder.ts'
import { variantOf } from './layers.ts'
import type { Model } from './model.ts'

/** Values of a step that a probe may use or add to. */
export interface StepIo {
  readonly tokens: StepTokens
  /** Index of each batch row's last token (B) i32; −1 where it has none in this step. */
  readonly last: Tensor
  /** A further input of the step, given by name at each run. */
  input(name: string, dtype: Storage, shape: readonly Dim[]): Tensor
}

/** What a step computes beyond updating its caches. `key` names it among recordings. */
export interface Probe {
  readonly key: string
  build(
    result: DecoderResult,
    io: StepIo,
  ): {
    readonly outputs: Readonly<Record<string, Tensor>>
    /** Token drawn for each batch row (B) i32: the row's next input unless the host gives another. */
    readonly draw?: Tensor
  }
}

/** Name of the input (N) i32 that says which tokens' sequences are longer than an edge. */
export const beyondName = (edge: number): string => `beyond:${edge}`
export const ropeName = (spec: RopeSpec): string =>
  `rope:${JSON.stringify([spec.dims, spec.theta, spec.scaling ?? null, ...(spec.picked ? [spec.picked] : [])])}`

const fixed = (spec: RopeSpec): boolean => !frequenciesVary(spec) && ropeEdge(spec) === undefined

/** The layers of a model as cache managers see them. */
export const layerStates = (model: Pick<Model, 'spec' | 'variants'>): LayerStates[] =>
  model.spec.layers.map(layer => {
    const { config, mask, position } = layer.attention
    return {
      spec: variantOf(model.variants, layer).state(config),
      mask: maskOf(mask),
      positions: readsKeyPositions(position),
      rotary:
        position.kind === 'rope' && fixed(position)
          ? { pairing: position.pairing, frequencies: ropeFrequencies(position, 0).values }
          : undefined,
    }
  })

/** The graph of one step of a model for at most `tokens` tokens: inputs `ids batch row position offsets`, and what the states ask for. */
export function stepGraph(model: Model, states: States, tokens: number, probe: Probe, observe = false): Graph {
  const step = stepTokens(length('tokens', tokens), states.batchRows)
  const effects: Tensor[] = []
  const drawn = state('drawn', 'i32', [step.batchRows, 1])
  const result = decoder(model.spec, model.variants, model.values, {
    ids: idsOf(step, drawn),
    position: step.position,
    rope: memoRope(step.count),
    state: states.graph(step, effects, observe),
  })
  const { outputs, draw } = probe.build(result, { tokens: step, last: lastOf(step), input })
  if (draw) effects.push(scatterRows(drawn, activeRows(step), draw.unsqueeze(1)))
  return { outputs, effects }
}

export const stepTokens = (count: Dim, batchRows: number): StepTokens => ({
  count,
  batchRows,
  batch: input('batch', 'i32', [count]),
  row: input('row', 'i32', [count]),
  position: input('position', 'i32', [count]),
  offsets: input('offsets', 'i32', [batchRows + 1]),
})

/** The given id, or the one drawn for the token's batch row where the host gave −1. */
function idsOf(tokens: StepTokens, drawn: Tensor): Tensor {
  const given = variable('x0', 'i32')
  const own = table(drawn, { dtype: 'i32', rank: 2 }).at(variable('x1', 'i32'), 0)
  return mapExpr(given.lt(0).select(own, given), [input('ids', 'i32', [tokens.count]), tokens.batch])
}

const offsetAt = (tokens: StepTokens, i: ReturnType<typeof variable>) => table(tokens.offsets, { dtype: 'i32', rank: 1 }).at(i)
function lastOf(tokens: StepTokens): Tensor {
  const b = variable('i0', 'i32')
  const end = offsetAt(tokens, b.add(1))
  return mapExpr(end.gt(offsetAt(tokens, b)).select(end.sub(1), -1), [], { dtype: 'i32', shape: [tokens.batchRows] })
}
function activeRows(tokens: StepTokens): Tensor {
  const b = variable('i0', 'i32')
  return mapExpr(offsetAt(tokens, b.add(1)).gt(offsetAt(tokens, b)).select(b, -1), [], { dtype: 'i32', shape: [tokens.batchRows] })
}

/** Frequencies per distinct rope: a constant, or an input when they depend on the sequence's length; both where a length parts them. */
function memoRope(count: Dim): (spec: RopeSpec) => RopeOperands {
  const known = new Map<string, RopeOperands>()
  return spec => {
    const key = ropeName(spec)
    let o = known.get(key)
    if (!o) {
      const { values, factor } = ropeFrequencies(spec, 0)
      const size = [values.length]
      const edge = ropeEdge(spec)
      const frequencies = frequenciesVary(spec) ? input(key, 'f32', size) : tensor(values, size)
      const beyond =
        edge === undefined
          ? undefined
          : { frequencies: tensor(ropeFrequencies(spec, edge + 1).values, size), tokens: input(beyondName(edge), 'i32', [count]) }
      known.set(key, (o = { frequencies, factor, beyond }))
    }
    return o
  }
}
