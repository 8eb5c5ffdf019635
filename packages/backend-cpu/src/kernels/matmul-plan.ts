import { capacity, type Dim, elements, type LaunchPlan, type Param, rowMajor, storageName, type Type, type ViewType } from '@attune/tensor'

/** Bytes a product packs its operands into: the larger of what native/gemm_nn.h and native/gemm_nt.h use. */
export const scratchBytes = 320 * 1024

/** Out[row, col] = Σ_k a[row, k] · b[col, k]: `a` with leading axes, then rows, then k; `b` likewise, its last two axes named by stride. */
export interface Operands {
  readonly a: ViewType
  readonly b: ViewType
  readonly out: Type
  /** Strides of b along columns and k, in elements. */
  readonly bn: number
  readonly bk: number
  /** Axes of b before the last two. */
  readonly bLead: number
}

interface Axis {
  readonly size: readonly Dim[]
  /** In elements of a, out and, for a batch axis, b. */
  readonly a: number
  readonly out: number
  readonly b: number
}

/** The parameters of native/gemm.h's `Product`. Axes along which b repeats are rows, the others batches. */
export function productParams({ a, b, out, bn, bk, bLead }: Operands): Param[] {
  const lead = out.shape.length - 1
  const steps = rowMajor(out.shape)
  const rows: Axis[] = []
  const batches: Axis[] = []
  for (let i = 0; i < lead; i++) {
    if (out.shape[i] === 1) continue
    const inB = i - (lead - 1 - bLead)
    const own = { size: [out.shape[i]], a: strideAt(a, i + a.shape.length - 1 - lead), out: steps[i] }
    const stride = i < lead - 1 && bLead > 0 ? strideAt(b, inB) : 0
    if (stride === 0) merge(rows, { ...own, b: 0 })
    else batches.push({ ...own, b: stride })
  }
  const { n, k } = { n: out.shape[lead], k: a.shape[a.shape.length - 1] }
  return [
    ...[n, k, a.strides[a.shape.length - 1], bn, bk, rows.length, batches.length],
    ...rows.flatMap(x => [extent(x.size), x.a, x.out]),
    ...batches.flatMap(x => [extent(x.size), x.a, x.b, x.out]),
  ]
}

/** A product of a dense b as one launch, or the reason why there is none. */
export function denseProduct(x: Operands, bind: LaunchPlan['bind']): LaunchPlan | string {
  const b = storageName(x.b.dtype)
  if (x.a.dtype !== 'f32') return `the first operand is ${storageName(x.a.dtype)}; this kernel reads f32`
  if (b !== 'f32' && b !== 'f16' && b !== 'bf16') return `the second operand is ${b}; this kernel reads f32, f16 and bf16`
  const [n, k] = [x.out.shape[x.out.shape.length - 1], x.a.shape[x.a.shape.length - 1]]
  const form = x.bk === 1 || k === 1 ? 'nt' : x.bn === 1 || n === 1 ? 'nn' : undefined
  if (!form) return `the second operand has strides ${x.bn} and ${x.bk} along its columns and k; one of them must be 1`
  return { text: `matmul_${form}_${b}`, bind, params: productParams(x), threadScratch: scratchBytes }
}

/** Multiply-adds at capacity. */
export const work = (a: Type, out: Type): number => elements(out.shape) * capacity(a.shape[a.shape.length - 1])

const strideAt = ({ shape, strides }: ViewType, axis: number): number => (axis < 0 || shape[axis] === 1 ? 0 : strides[axis])
const extent = (size: readonly Dim[]): Param => (size.length === 1 ? size[0] : { product: size })

/** Appends an axis, as one with its neighbour where both lie as if they were one. */
function merge(axes: Axis[], inner: Axis): void {
  const outer = axes.at(-1)
  const [size] = inner.size
  if (outer && typeof size === 'number' && outer.a === inner.a * size && outer.out === inner.out * size)
    axes[axes.length - 1] = { ...inner, size: [...outer.size, size] }
  else axes.push(inner)
}
