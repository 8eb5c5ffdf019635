import { AttuneError } from '@attune/expr'
import type { Constant } from './constant.ts'
import type { Storage } from './dtype.ts'
import type { Op, Type, ViewType } from './op.ts'
import { axisOf, capacity, type Dim, elements, rowMajor, sameShape, showShape } from './shape.ts'

/** Where a graph's values come from: constant bytes (weights), bytes given at each run, or a state buffer bound per session. */
export type Leaf =
  | { readonly kind: 'constant'; readonly constant: Constant }
  | { readonly kind: 'input'; readonly name: string }
  | { readonly kind: 'state'; readonly name: string }

let next = 0

/** One recorded call. Nodes are ordered by `id`; that order is the order of execution. */
export class Node {
  readonly id = next++
  readonly outputs: readonly Tensor[]
  constructor(
    readonly op: Op | undefined,
    readonly attrs: unknown,
    readonly inputs: readonly Tensor[],
    types: readonly Type[],
    readonly leaf?: Leaf,
  ) {
    this.outputs = types.map((t, i) => new Tensor(this, i, t.dtype, t.shape, rowMajor(t.shape), 0))
  }
}

/**
 * A strided view of one output of a node. Calling an op appends a node and returns views of its outputs; nothing runs before a read
 * or a recorded step. Views (reshape, permute, slice, expand) cost nothing.
 */
export class Tensor implements ViewType {
  constructor(
    readonly node: Node,
    readonly index: number,
    readonly dtype: Storage,
    readonly shape: readonly Dim[],
    /** Elements between neighbours along each axis; 0 repeats. */
    readonly strides: readonly number[],
    /** First element, in elements. */
    readonly offset: number,
  ) {}

  get rank(): number {
    return this.shape.length
  }
  get contiguous(): boolean {
    const dense = rowMajor(this.shape)
    return this.shape.every((d, i) => capacity(d) === 1 || this.strides[i] === dense[i])
  }
  /** Same storage, other shape, strides and offset. */
  view(shape: readonly Dim[], strides: readonly number[], offset = this.offset): Tensor {
    return new Tensor(this.node, this.index, this.dtype, shape, strides, offset)
  }

  /** Splits or merges axes; the view must not need a copy (see `contiguous`). */
  reshape(shape: readonly Dim[]): Tensor {
    if (sameShape(shape, this.shape)) return this
    if (elements(shape) !== elements(this.shape))
      throw new AttuneError('ERR_SHAPE', `cannot reshape ${showShape(this.shape)} to ${showShape(shape)}`, {
        from: showShape(this.shape),
        to: showShape(shape),
      })
    const strides = restride(this.shape, this.strides, shape)
    if (!strides)
      throw new AttuneError('ERR_SHAPE', `reshape of a strided ${showShape(this.shape)} to ${showShape(shape)} needs a copy first`, {
        from: showShape(this.shape),
        to: showShape(shape),
      })
    return this.view(shape, strides)
  }
  permute(...axes: number[]): Tensor {
    const a = axes.map(x => axisOf(x, this.rank))
    if (new Set(a).size !== this.rank)
      throw new AttuneError('ERR_SHAPE', `permute(${axes.join(', ')}) of a tensor of rank ${this.rank}`, { axes })
    return this.view(
      a.map(i => this.shape[i]),
      a.map(i => this.strides[i]),
    )
  }
  /** Swaps two axes, the last two by default. */
  transpose(i = -2, j = -1): Tensor {
    const order = this.shape.map((_, x) => x)
    const a = axisOf(i, this.rank)
    const b = axisOf(j, this.rank)
    order[a] = b
    order[b] = a
    return this.permute(...order)
  }
  /** Elements [start, end) of an axis. The axis must be a number, or start 0 and a full Length. */
  slice(axis: number, start: number, end: number): Tensor {
    const a = axisOf(axis, this.rank)
    const d = this.shape[a]
    if (typeof d !== 'number' || start < 0 || end < start || end > d)
      throw new AttuneError('ERR_SHAPE', `slice [${start}, ${end}) of axis ${axis} of ${showShape(this.shape)}`, { axis, start, end })
    return this.view(
      this.shape.map((x, i) => (i === a ? end - start : x)),
      this.strides,
      this.offset + start * this.strides[a],
    )
  }
  /** Repeats axes of extent 1 without copying. */
  expand(shape: readonly Dim[]): Tensor {
    const pad = shape.length - this.rank
    const strides = shape.map((d, i) => {
      if (i < pad) return 0
      const own = this.shape[i - pad]
      if (own === d) return this.strides[i - pad]
      if (own !== 1) throw new AttuneError('ERR_SHAPE', `cannot expand ${showShape(this.shape)} to ${showShape(shape)}`, { axis: i })
      return 0
    })
    return this.view(shape, strides)
  }
  unsqueeze(axis: number): Tensor {
    const a = axis < 0 ? axis + this.rank + 1 : axis
    return this.view([...this.shape.slice(0, a), 1, ...this.shape.slice(a)], [...this.strides.slice(0, a), 0, ...this.strides.slice(a)])
  }
  squeeze(axis: number): Tensor {
    const a = axisOf(axis, this.rank)
    if (this.shape[a] !== 1) throw new AttuneError('ERR_SHAPE', `squeeze of axis ${axis} of ${showShape(this.shape)}`, { axis })
    return this.view(
      this.shape.filter((_, i) => i !== a),
      this.strides.filter((_, i) => i !== a),
    )
  }
}

/** Appends a call of `op` and returns its outputs. */
export function call<A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): readonly Tensor[] {
  return new Node(op, attrs, inputs, op.infer(inputs, attrs)).outputs
}
export const call1 = <A>(op: Op<A>, inputs: readonly Tensor[], attrs: A): Tensor => call(op, inputs, attrs)[0]

/** A value given anew at each run. */
export const input = (name: string, dtype: Storage, shape: readonly Dim[]): Tensor => leaf({ dtype, shape }, { kind: 'input', name })
/** A buffer that lives across runs; only `scatter` changes it. */
export const state = (name: string, dtype: Storage, shape: readonly Dim[]): Tensor => leaf({ dtype, shape }, { kind: 'state', name })
export const leaf = (type: Type, l: Leaf): Tensor => new Node(undefined, undefined, [], [type], l).outputs[0]

/** Strides of `to` over the same memory, or undefined when it cannot be a view. */
function restride(from: readonly Dim[], strides: readonly number[], to: readonly Dim[]): number[] | undefined {
  if (elements(from) === 0) return rowMajor(to)
  const src = from.map((d, i) => [capacity(d), strides[i], d] as const).filter(([d]) => d !== 1)
  const out = new Array<number>(to.length).fill(0)
  let i = 0
  let j = 0
  while (i < src.length || j < to.length) {
    if (j < to.length && capacity(to[j]) === 1) {
      out[j++] = 0
      continue
    }
    if (i >= src.length || j >= to.length) return undefined
    let a = src[i][0]
    let b = capacity(to[j])
    const i0 = i
    const j0 = j
    while (a !== b) {
      if (a < b) {
        if (++i >= src.length) return undefined
        a *= src[i][0]
      } else {
        if (++j >= to.length) return undefined
        b *= capacity(to[j])
      }
    }
    for (let k = i0; k < i; k++) if (src[k][1] !== src[k + 1][1] * src[k + 1][0]) return undefined
    // A Length may only stay itself or be the outermost of a split-free group: its run-time extent must keep its meaning.
    if (i !== i0 && src.slice(i0, i + 1).some(s => typeof s[2] !== 'number')) return undefined
    if (j !== j0 && typeof src[i0][2] !== 'number') return undefined
    if (i === i0 && j === j0 && typeof src[i0][2] !== typeof to[j0]) return undefined
    let step = src[i][1]
    for (let k = j; k >= j0; k--) {
      out[k] = step
      step *= capacity(to[k])
    }
    i++
    j++
  }
  return out
}
