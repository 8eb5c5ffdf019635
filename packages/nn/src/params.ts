import type { Constant, Tensor } from '@attune/tensor'

/** Named extents, in order: `{ h: heads, d: headDim }`. */
export type Axes = Readonly<Record<string, number>>
export const size = (axes: Axes): number => Object.values(axes).reduce((a, b) => a * b, 1)

/** A weight of shape (out…, in…) stored as the matrix (∏out, ∏in), and an optional bias (∏out). */
export interface LinearSpec {
  readonly kind: 'linear'
  readonly in: Axes
  readonly out: Axes
  readonly bias: boolean
}
/** One vector, such as a norm's gain. `init` is its value in a fresh model. */
export interface VectorSpec {
  readonly kind: 'vector'
  readonly size: number
  readonly init: number
}
/** A table of `rows` vectors. */
export interface EmbeddingSpec {
  readonly kind: 'embedding'
  readonly rows: number
  readonly dim: number
}
/** Numbers of any shape, such as a short convolution's taps or the matrices of experts. Starts at `init` with spread `spread`. */
export interface ArraySpec {
  readonly kind: 'array'
  readonly shape: readonly number[]
  readonly init: number
  readonly spread: number
}
export type ParamSpec = LinearSpec | VectorSpec | EmbeddingSpec | ArraySpec
export type ParamTree = { readonly [name: string]: ParamSpec | ParamTree }

export const linear = (input: Axes, output: Axes, bias = false): LinearSpec => ({ kind: 'linear', in: input, out: output, bias })
export const vector = (n: number, init = 1): VectorSpec => ({ kind: 'vector', size: n, init })
export const array = (shape: readonly number[], { init = 0, spread = 0.1 } = {}): ArraySpec => ({ kind: 'array', shape, init, spread })
export const embedding = (rows: number, dim: number): EmbeddingSpec => ({ kind: 'embedding', rows, dim })

/** Weights of one parameter: its matrix or vector, and a linear's bias. */
export interface ParamValue {
  readonly weight: Constant
  readonly bias?: Constant
}
/** Weights of a tree, by the path of each parameter joined with dots (`attention.q`). */
export type ParamValues = ReadonlyMap<string, ParamValue>

/** What `forward` sees: each parameter as something to call or use. */
export type Bound<T> = { readonly [K in keyof T]: BoundParam<T[K]> }
type BoundParam<P> = P extends LinearSpec
  ? BoundLinear
  : P extends VectorSpec | ArraySpec
    ? Tensor
    : P extends EmbeddingSpec
      ? EmbeddingTable
      : Bound<P>
/** A linear map to call, x (…, in…) → (…, out…), with its matrix (∏out, ∏in) and bias (∏out) for who needs a part of them. */
export interface BoundLinear {
  (x: Tensor): Tensor
  readonly weight: Tensor
  readonly bias?: Tensor
}
export interface EmbeddingTable {
  /** ids (N) i32 → (N, dim) f32 */
  lookup(ids: Tensor): Tensor
  /** The table as an output projection: x (N, dim) → (N, rows). */
  project(x: Tensor): Tensor
}

const isSpec = (x: ParamSpec | ParamTree): x is ParamSpec => typeof (x as ParamSpec).kind === 'string'

/** Every parameter of a tree with its path. */
export function* walkParams(tree: ParamTree, prefix = ''): Generator<[string, ParamSpec]> {
  for (const [name, x] of Object.entries(tree)) {
    const path = prefix ? `${prefix}.${name}` : name
    if (isSpec(x)) yield [path, x]
    else yield* walkParams(x, path)
  }
}

/** Shape of a parameter's weight as it is stored. */
export const weightShape = (spec: ParamSpec): readonly number[] =>
  spec.kind === 'linear'
    ? [size(spec.out), size(spec.in)]
    : spec.kind === 'vector'
      ? [spec.size]
      : spec.kind === 'array'
        ? spec.shape
        : [spec.rows, spec.dim]
/** Numbers in a tree, biases included. */
export function countParams(tree: ParamTree): number {
  let n = 0
  for (const [, spec] of walkParams(tree))
    n += weightShape(spec).reduce((a, b) => a * b, 1) + (spec.kind === 'linear' && spec.bias ? size(spec.out) : 0)
  return n
}
/** Puts a subtree's values under a prefix, or takes them out from under it. */
export const underPrefix = (values: ParamValues, prefix: string): Map<string, ParamValue> =>
  new Map([...values].filter(([k]) => k.startsWith(`${prefix}.`)).map(([k, v]) => [k.slice(prefix.length + 1), v]))
export const withPrefix = (values: ParamValues, prefix: string): Map<string, ParamValue> =>
  new Map([...values].map(([k, v]) => [`${prefix}.${k}`, v]))
