import { AttuneError } from '@attune/expr'
import { call, type Op, sameDim, showShape, type Tensor, type Type } from '@attune/tensor'
import { groupedHeads } from './attend.ts'
import { composeScan } from './scan-compose.ts'
import { loopsScan } from './scan-loops.ts'

/** Operands of `scan`, by name. B = batch rows, N = tokens of this step (flat, sorted by batch row), P = state heads, H = output heads. */
export interface ScanOperands<T = Tensor> {
  /** Queries (N, nQ, dK). */
  readonly q: T
  /** Keys (N, nK, dK). */
  readonly k: T
  /** Values (N, nV, dV). */
  readonly v: T
  /** State before the step (B, P, dK, dV). */
  readonly initial: T
  /** First token of each batch row (B + 1) i32: tokens offsets[b] … offsets[b+1]−1 belong to row b. */
  readonly offsets: T
  /** Natural logarithm of what is kept, ≤ 0: per head (N, P) or per key channel (N, P, dK). Absent: all is kept. */
  readonly decay?: T
  /** How far a delta update goes (N, P). Absent: 1. */
  readonly beta?: T
}

export interface ScanAttrs {
  /** Names of the inputs, in order. */
  readonly names: readonly (keyof ScanOperands)[]
  /** add: S += k ⊗ v; delta: S += k ⊗ β (v − kᵀ S), with S already decayed. */
  readonly rule: 'add' | 'delta'
  /** Of the queries. */
  readonly scale: number
  /** Output head → query head, output head → state head (length H). */
  readonly queryHeads: readonly number[]
  readonly stateHeads: readonly number[]
  /** State head → key head, state head → value head (length P). */
  readonly keyHeads: readonly number[]
  readonly valueHeads: readonly number[]
}

export interface ScanOptions extends Partial<Omit<ScanAttrs, 'names'>> {}

/**
 * Linear recurrence over the tokens of each batch row: S ← exp(decay) ⊙ S + k ⊗ u, out = scale · qᵀ S after the update, u = v (`add`) or
 * β (v − kᵀ S) (`delta`, https://arxiv.org/abs/2412.06464). Outputs: out (N, H, dV) f32 and the new state (B, P, dK, dV) f32; a row
 * without tokens keeps its state. `loops` is the step form, the composition the chunked one (parallel when all tokens fit one chunk).
 */
export const scan: Op<ScanAttrs> = {
  name: 'scan',
  infer(inputs, attrs) {
    const o = scanOperands<Type>(inputs, attrs)
    check(o, attrs)
    return [
      { dtype: 'f32', shape: [o.q.shape[0], attrs.queryHeads.length, o.v.shape[2]] },
      { dtype: 'f32', shape: o.initial.shape },
    ]
  },
  loops: (inputs, attrs, [out, state]) => loopsScan(scanOperands(inputs, attrs), attrs, out.shape, state.shape),
  compose: (inputs, attrs) => composeScan(scanOperands(inputs, attrs), attrs),
}

/** `scan` with grouped head maps: there are as many output heads as the larger of query and state heads. */
export function scanOf(operands: ScanOperands, options: ScanOptions = {}): { out: Tensor; state: Tensor } {
  const { q, k, v, initial, beta } = operands
  const names = (Object.keys(operands) as (keyof ScanOperands)[]).filter(n => operands[n] !== undefined)
  const heads = (t: Tensor) => t.shape[1] as number
  const states = heads(initial)
  const outputs = Math.max(heads(q), states)
  const [out, state] = call(
    scan,
    names.map(n => operands[n]!),
    {
      names,
      rule: options.rule ?? (beta ? 'delta' : 'add'),
      scale: options.scale ?? 1,
      queryHeads: options.queryHeads ?? groupedHeads(outputs, heads(q)),
      stateHeads: options.stateHeads ?? groupedHeads(outputs, states),
      keyHeads: options.keyHeads ?? groupedHeads(states, heads(k)),
      valueHeads: options.valueHeads ?? groupedHeads(states, heads(v)),
    },
  )
  return { out, state }
}

/** Operand by name, from a flat input list. */
export const scanOperands = <T>(inputs: readonly T[], { names }: ScanAttrs): ScanOperands<T> =>
  Object.fromEntries(names.map((n, i) => [n, inputs[i]])) as unknown as ScanOperands<T>

function check(o: ScanOperands<Type>, attrs: ScanAttrs): void {
  const { q, k, v, initial, offsets, decay, beta } = o
  const refuse = (what: string): never => {
    const shapes = Object.fromEntries(attrs.names.map(n => [n, showShape(o[n]!.shape)]))
    const listed = Object.entries(shapes).map(([n, s]) => `${n} ${s}`)
    throw new AttuneError('ERR_SHAPE', `scan: ${what} (${listed.join(', ')})`, shapes)
  }
  const [, states, dk, dv] = initial.shape
  if (initial.shape.length !== 4 || [states, dk, dv].some(d => typeof d !== 'number'))
    refuse('the initial state must be (B, P, dK, dV) with fixed P, dK and dV')
  if (offsets.shape.length !== 1) refuse('offsets must have one axis')
  if ([q, k, v].some(t => t.shape.length !== 3 || !sameDim(t.shape[0], q.shape[0])))
    refuse('q, k and v must be (N, heads, width) of the same tokens')
  if (q.shape[2] !== dk || k.shape[2] !== dk || v.shape[2] !== dv) refuse('widths of q, k and v are not those of the state')
  const perHead = (t: Type): boolean => sameDim(t.shape[0], q.shape[0]) && t.shape[1] === states
  if (decay && !(perHead(decay) && (decay.shape.length === 2 || (decay.shape.length === 3 && decay.shape[2] === dk))))
    refuse('decay must be (N, P) or (N, P, dK)')
  if (beta && !(perHead(beta) && beta.shape.length === 2)) refuse('beta must be (N, P)')
  if (beta && attrs.rule === 'add') refuse('the add rule has no beta')
  const map = (name: string, heads: readonly number[], n: number, below: unknown): void => {
    if (heads.length !== n || heads.some(x => !Number.isInteger(x) || x < 0 || x >= (below as number)))
      refuse(`${name} must name ${n} of the ${below} heads, not [${heads.join(', ')}]`)
  }
  map('queryHeads', attrs.queryHeads, attrs.queryHeads.length, q.shape[1])
  map('stateHeads', attrs.stateHeads, attrs.queryHeads.length, states)
  map('keyHeads', attrs.keyHeads, states as number, k.shape[1])
  map('valueHeads', attrs.valueHeads, states as number, v.shape[1])
}
