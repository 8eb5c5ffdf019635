import { AttuneError } from '@attune/tensor'
import { cut, gathered, joined, reshaped, transposed, type Value } from './value.ts'

/** A reversible operation between the tensors of a file (left) and parameters (right). */
export interface Step {
  readonly name: string
  load(values: readonly Value[]): Value[]
  save(values: readonly Value[]): Value[]
}

/** The same step the other way round. */
export const inverse = (step: Step): Step => ({ name: `inverse ${step.name}`, load: step.save, save: step.load })

const each = (name: string, load: (v: Value) => Value, save: (v: Value) => Value): Step => ({
  name,
  load: vs => vs.map(load),
  save: vs => vs.map(save),
})

/**
 * One tensor in the file holds several parameters beside each other along `axis`; with `groups`, beside each other in each of as many
 * equal groups (heads that hold a query and its gate; rows that take turns).
 */
export const split = (axis: number, sizes: readonly number[], groups = 1): Step => ({
  name: `split ${axis} ${sizes}${groups === 1 ? '' : ` of ${groups}`}`,
  load: ([value, ...more]) => single('split', more, () => cut(grouped(value, axis, groups), axis + 1, sizes).map(v => flat(v, axis))),
  save: values => [
    flat(
      joined(
        values.map(v => grouped(v, axis, groups)),
        axis + 1,
      ),
      axis,
    ),
  ],
})

/** One parameter lies in the file as several tensors, to be put beside each other along `axis` (in each of `groups`). */
export const merge = (axis: number, sizes: readonly number[], groups = 1): Step => inverse(split(axis, sizes, groups))

/** One parameter lies in the file as a tensor per item of its first axis (experts); with a running hole `{e*}`. */
export const stack = (): Step => ({
  name: 'stack',
  load: values => [
    joined(
      values.map(v => reshaped(v, [1, ...v.shape])),
      0,
    ),
  ],
  save: ([value, ...more]) =>
    single('stack', more, () => cut(value, 0, new Array<number>(value.shape[0]).fill(1)).map(v => reshaped(v, v.shape.slice(1)))),
})

/** The file holds (…, in, out) where the parameter is (…, out, in). */
export const transpose = (): Step => each('transpose', transposed, transposed)

/** The file's shape and the one to see the same bytes as. */
export const reshape = (file: readonly number[], param: readonly number[]): Step =>
  each(
    `reshape ${file} to ${param}`,
    v => reshaped(checked(v, file), param),
    v => reshaped(v, file),
  )

/** The file's rows hold rope pairs side by side (2i, 2i + 1) within each head; parameters hold them half a head apart (i, i + d/2). */
export const permuteRope = (headDim: number): Step =>
  each(
    `permuteRope ${headDim}`,
    v => gathered(v, row => interleavedRow(row, headDim)),
    v => gathered(v, row => halfSplitRow(row, headDim)),
  )

/** Where a row of half-split order stands in interleaved order. */
export function interleavedRow(row: number, headDim: number): number {
  const within = row % headDim
  const half = headDim / 2
  return row - within + (within < half ? 2 * within : 2 * (within - half) + 1)
}

/** Where a row of interleaved order stands in half-split order. */
export function halfSplitRow(row: number, headDim: number): number {
  const within = row % headDim
  return row - within + (within >> 1) + (within % 2) * (headDim / 2)
}

/** An axis as (groups, what one holds), and back. */
function grouped(value: Value, axis: number, groups: number): Value {
  const { shape } = value
  if (shape[axis] % groups !== 0)
    throw new AttuneError('ERR_SHAPE', `axis ${axis} of [${shape}] cannot be cut into ${groups} groups`, { shape, axis, groups })
  return reshaped(value, [...shape.slice(0, axis), groups, shape[axis] / groups, ...shape.slice(axis + 1)])
}
const flat = (value: Value, axis: number): Value =>
  reshaped(value, [...value.shape.slice(0, axis), value.shape[axis] * value.shape[axis + 1], ...value.shape.slice(axis + 2)])

function checked(value: Value, shape: readonly number[]): Value {
  if (value.shape.length === shape.length && value.shape.every((d, i) => d === shape[i])) return value
  throw new AttuneError('ERR_SHAPE', `the file has [${value.shape}] where [${shape}] is expected`, { shape: value.shape, expected: shape })
}

function single<T>(step: string, more: readonly Value[], run: () => T): T {
  if (more.length) throw new AttuneError('ERR_ARGUMENT', `${step} takes one tensor, not ${more.length + 1}`, { step })
  return run()
}
