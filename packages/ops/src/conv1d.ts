import { AttuneError, table, variable } from '@attune/expr'
import { call, copyOf, gatherRows, mapWith, type Op, sameDim, showShape, sum, type Tensor, type Type } from '@attune/tensor'

/** Operands of `conv1d`, by name. B = batch rows, N = tokens of this step (flat, sorted by batch row), C = channels, K = taps. */
export interface Conv1dOperands<T = Tensor> {
  /** Inputs (N, C) f32. */
  readonly x: T
  /** Taps per channel (C, K), the last one for the token itself. */
  readonly weight: T
  /** The K−1 inputs before the first token of each batch row (B, K−1, C), oldest first; zeros at the start of a sequence. */
  readonly tail: T
  /** First token of each batch row (B + 1) i32: tokens offsets[b] … offsets[b+1]−1 belong to row b. */
  readonly offsets: T
  /** Added to each channel (C). */
  readonly bias?: T
}
export interface Conv1dAttrs {
  /** Names of the inputs, in order. */
  readonly names: readonly (keyof Conv1dOperands)[]
}

/**
 * Causal depthwise convolution over the tokens of each batch row, continued from its tail: y[t, c] = Σ_k weight[c, k] · input[t − K + 1 + k, c]
 * (+ bias). Outputs: y (N, C) f32 and the new tail (B, K−1, C) f32, the last K−1 inputs of each row.
 */
export const conv1d: Op<Conv1dAttrs> = {
  name: 'conv1d',
  infer(inputs, attrs) {
    const o = byName<Type>(inputs, attrs)
    const [n, c] = o.x.shape
    const taps = o.weight.shape[1]
    const fits =
      o.x.shape.length === 2 &&
      o.weight.shape.length === 2 &&
      o.tail.shape.length === 3 &&
      o.offsets.shape.length === 1 &&
      typeof c === 'number' &&
      typeof taps === 'number' &&
      taps >= 2 &&
      o.weight.shape[0] === c &&
      o.tail.shape[1] === taps - 1 &&
      o.tail.shape[2] === c &&
      (!o.bias || (o.bias.shape.length === 1 && sameDim(o.bias.shape[0], c)))
    if (!fits)
      throw new AttuneError(
        'ERR_SHAPE',
        `conv1d of x ${showShape(o.x.shape)} with weight ${showShape(o.weight.shape)} and tail ${showShape(o.tail.shape)}`,
        { x: showShape(o.x.shape), weight: showShape(o.weight.shape), tail: showShape(o.tail.shape) },
      )
    return [
      { dtype: 'f32', shape: [n, c] },
      { dtype: 'f32', shape: o.tail.shape },
    ]
  },
  compose(inputs, attrs) {
    const { x, weight, tail, offsets, bias } = byName<Tensor>(inputs, attrs)
    const taps = weight.shape[1] as number
    const { row, time } = places(x, tail, offsets)
    const columns = copyOf(weight).transpose() // (K, C)

    let y: Tensor | undefined
    const add = (term: Tensor): void => {
      y = y ? mapWith((a, b) => a.add(b), [y, term]) : term
    }
    for (let k = 0; k < taps; k++) {
      const back = taps - 1 - k
      const source = mapWith(t => t.ge(back).select(i0.sub(back), -1), [time], { dtype: 'i32' })
      add(mapWith((a, w) => a.mul(w), [gatherRows(x, source), columns.slice(0, k, k + 1)]))
    }
    for (let m = 0; m < taps - 1; m++) {
      // Slot m of the tail is K−1−m inputs before the row's first token: token t sees it through tap m − t.
      const from = mapWith((r, t) => t.le(m).select(r, -1), [row, time], { dtype: 'i32' })
      const tap = mapWith(t => t.le(m).select(t.neg().add(m), -1), [time], { dtype: 'i32' })
      add(mapWith((a, w) => a.mul(w), [gatherRows(tail.slice(1, m, m + 1).squeeze(1), from), gatherRows(columns, tap)]))
    }
    return [bias ? mapWith((a, b) => a.add(b), [y!, bias]) : y!, newTail(x, tail, offsets)]
  },
}

export function conv1dOf(operands: Conv1dOperands): { out: Tensor; tail: Tensor } {
  const names = (['x', 'weight', 'tail', 'offsets', 'bias'] as const).filter(n => operands[n] !== undefined)
  const [out, tail] = call(
    conv1d,
    names.map(n => operands[n]!),
    { names },
  )
  return { out, tail }
}

/** Operand by name, from a flat input list. */
export const conv1dOperands = <T>(inputs: readonly T[], { names }: Conv1dAttrs): Conv1dOperands<T> =>
  Object.fromEntries(names.map((n, i) => [n, inputs[i]])) as unknown as Conv1dOperands<T>
const byName = conv1dOperands

const i0 = variable('i0', 'i32')
const i1 = variable('i1', 'i32')

/** Batch row of each token, and its place among the row's tokens: (N) i32 each. */
function places(x: Tensor, tail: Tensor, offsets: Tensor): { row: Tensor; time: Tensor } {
  const starts = table(offsets, { dtype: 'i32', rank: 1 })
  const n = x.shape[0]
  const b = tail.shape[0]
  const begun = mapWith(() => starts.at(i1).le(i0).select(1, 0), [], { shape: [n, b], dtype: 'i32' })
  const row = mapWith(count => count.sub(1).max(0), [sum(begun, 1)], { dtype: 'i32' })
  return { row, time: mapWith(r => i0.sub(starts.at(r)), [row], { dtype: 'i32' }) }
}

/** Slot m is the input K−1−m places before the row's end: a token, or a later slot of the old tail. */
function newTail(x: Tensor, tail: Tensor, offsets: Tensor): Tensor {
  const [b, kept] = tail.shape
  const starts = table(offsets, { dtype: 'i32', rank: 1 })
  const count = starts.at(i0.add(1)).sub(starts.at(i0))
  const slot = i1.add(count) // in the row's old tail followed by its tokens
  const source = mapWith(
    () =>
      slot.ge(kept as number).select(
        starts
          .at(i0)
          .add(slot)
          .sub(kept as number),
        -1,
      ),
    [],
    {
      shape: [b, kept],
      dtype: 'i32',
    },
  )
  let out = gatherRows(x, source) // (B, K−1, C)
  for (let m = 0; m < (kept as number); m++)
    out = mapWith((a, old) => a.add(slot.eq(m).select(old, 0)), [out, tail.slice(1, m, m + 1).expand(tail.shape)])
  return out
}
