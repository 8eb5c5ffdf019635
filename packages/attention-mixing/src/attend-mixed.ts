import type { Past } from '@attune/attention'
import { type Expr, tables } from '@attune/expr'
import { AttuneError, call1, copyOf, type Op, showShape, type Tensor, type Type } from '@attune/tensor'
import { composeMixed } from './attend-mixed-compose.ts'

/** Operands of `attend-mixed`, by name. B = batch rows, N = tokens of this step, S = slots, H = heads of logits, G of weights, V of values. */
export interface MixedOperands<T = Tensor> {
  /** Queries (N, A·H, d): heads of the token itself, then of the token before it, and so on. */
  readonly q: T
  /** Keys (B, nK, S, d) and values (B, nV, S, dV). */
  readonly k: T
  readonly v: T
  /** Slots in use (B) i32. */
  readonly lengths: T
  /** Batch row, row and position of each token (N) i32. */
  readonly batch: T
  readonly qRow: T
  readonly qPosition: T
  /** Row of each slot (B, S) i32. Absent: the slot. Slots whose row is negative hold nothing. */
  readonly kRow?: T
  /** Position of each slot (B, S) i32. Absent: the row. */
  readonly kPosition?: T
  /** Convolves logits over the A last queries and over neighbouring slots (H, A, T): the last row is for the token itself, T odd. */
  readonly taps?: T
  /** Logits of G heads from those of H (G, H). */
  readonly before?: T
  /** Weights of V heads from those of G (V, G). */
  readonly after?: T
}
export interface MixedAttrs {
  /** Names of the inputs, in order. Tables of `score` then of `mask` follow them. */
  readonly names: readonly (keyof MixedOperands)[]
  /** Logit head → key head (H), value head of the mix → stored value head (V). */
  readonly keyHeads: readonly number[]
  readonly valueHeads: readonly number[]
  readonly scale: number
  /** Changes mixed logits; as in `attend`, with `h` the head of the weights. */
  readonly score?: Expr
  readonly mask: Expr
}

export const mixedOperands = <T>(inputs: readonly T[], { names }: MixedAttrs): MixedOperands<T> =>
  Object.fromEntries(names.map((n, i) => [n, inputs[i]])) as unknown as MixedOperands<T>

/**
 * Softmax attention whose logits are mixed over tokens and heads before the softmax, and its weights over heads after it: out (N, V, dV).
 * A logit that its query may not see counts as 0 in the convolution; each query's last A − 1 come along, so a step at a time gives the
 * same. https://arxiv.org/abs/2003.02436, https://arxiv.org/abs/2504.00927
 */
export const attendMixed: Op<MixedAttrs> = {
  name: 'attend-mixed',
  infer(inputs, attrs) {
    const o = mixedOperands<Type>(inputs, attrs)
    const heads = attrs.keyHeads.length
    const earlier = o.taps ? (o.taps.shape[1] as number) : 1
    const weights = o.before ? o.before.shape[0] : heads
    const values = o.after ? o.after.shape[0] : weights
    const fits =
      o.q.shape.length === 3 &&
      o.q.shape[1] === earlier * heads &&
      o.q.shape[2] === o.k.shape[3] &&
      (!o.taps || (o.taps.shape[0] === heads && (o.taps.shape[2] as number) % 2 === 1)) &&
      (!o.before || o.before.shape[1] === heads) &&
      (!o.after || o.after.shape[1] === weights) &&
      values === attrs.valueHeads.length
    if (!fits) {
      const shapes = attrs.names.map((n, i) => `${n} ${showShape(inputs[i].shape)}`).join(', ')
      throw new AttuneError('ERR_SHAPE', `attend-mixed of ${shapes} with ${heads} logit heads`, { shapes })
    }
    return [{ dtype: 'f32', shape: [o.q.shape[0], values, o.v.shape[3]] }]
  },
  compose: composeMixed,
}

export interface MixedOptions extends Omit<MixedAttrs, 'names'> {
  /** Queries (N, A·H, d). */
  readonly q: Tensor
  readonly taps?: Tensor
  readonly before?: Tensor
  readonly after?: Tensor
}

/** `attend-mixed` over the parts `k` and `v` of a past. Errors: `ERR_UNSUPPORTED` where heads may hold different rows. */
export function mixOver(past: Past, { q, taps, before, after, ...attrs }: MixedOptions): Tensor {
  if (past.observing) throw new AttuneError('ERR_UNSUPPORTED', 'attend-mixed does not tell a policy what weight each slot gets', {})
  if (past.pages && past.rows?.k)
    throw new AttuneError(
      'ERR_UNSUPPORTED',
      'heads mix their weights, so all must hold the same rows: a cache that evicts from one head and not from another cannot serve them',
      {},
    )
  const { tokens } = past
  const first = (t?: Tensor): Tensor | undefined => t && copyOf(t.slice(1, 0, 1).squeeze(1)) // all heads hold the same rows
  const operands: MixedOperands = {
    ...{ q, k: past.dense('k'), v: past.dense('v'), lengths: first(past.lengths.k)! },
    ...{ batch: tokens.batch, qRow: tokens.row, qPosition: tokens.position },
    ...{ kRow: first(past.rows?.k), kPosition: first(past.positions?.k), taps, before, after },
  }
  const names = (Object.keys(operands) as (keyof MixedOperands)[]).filter(n => operands[n] !== undefined)
  const extra = [...(attrs.score ? tables(attrs.score) : []), ...tables(attrs.mask)].map(t => t.operand as Tensor)
  return call1(attendMixed, [...names.map(n => operands[n]!), ...extra], { ...attrs, names })
}
