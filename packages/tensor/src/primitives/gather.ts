import { AttuneError } from '@attune/expr'
import type { Op } from '../op.ts'
import { type Dim, elements, product, showShape } from '../shape.ts'
import { call1, type Tensor } from '../tensor.ts'
import { copyOf } from './copy.ts'
import { fill } from './create.ts'
import { alloc } from './map.ts'

/**
 * Rows by index along axis 0: x (R, …), index (…I) i32 → (…I, …). Index −1 gives zeros; any other index outside [0, R) throws in the
 * reference and is clamped in kernels. A packed or half `x` is decoded to f32.
 */
export const gather: Op<null> = {
  name: 'gather',
  infer([x, index]) {
    if (index.dtype !== 'i32') throw new AttuneError('ERR_DTYPE', `gather index must be i32, not ${String(index.dtype)}`, {})
    return [
      {
        dtype: x.dtype === 'i32' || x.dtype === 'u8' || x.dtype === 'bool' ? x.dtype : 'f32',
        shape: [...index.shape, ...x.shape.slice(1)],
      },
    ]
  },
  loops([x, index], _attrs, [out]) {
    const width = product(x.shape.slice(1))
    const data = alloc(out.dtype, product(out.shape))
    index.data.forEach((row, i) => {
      if (row === -1) return
      if (row < 0 || row >= x.shape[0])
        throw new AttuneError('ERR_SHAPE', `gather index ${row} is outside ${showShape(x.shape)}`, { row, rows: x.shape[0] })
      data.set(x.data.subarray(row * width, (row + 1) * width), i * width)
    })
    return [data]
  },
  vjp: ([x, index], _out, [grad]) => [grad && scatterRows(fill(0, x.shape), index, grad, 'add'), undefined],
}

export type ScatterMode = 'set' | 'add'

/**
 * Writes rows into `x` in place along axis 0 and returns its new version: x (R, …), index (…I) i32, rows (…I, …). Index −1 writes
 * nothing; any other index outside [0, R) throws in the reference and writes nothing in kernels. Equal indices write, or `add`, in index
 * order. The only op that mutates.
 */
export const scatter: Op<{ mode: ScatterMode }> = {
  name: 'scatter',
  alias: [0],
  infer([x, index, rows]) {
    const want: Dim[] = [...index.shape, ...x.shape.slice(1)]
    if (want.length !== rows.shape.length || want.some((d, i) => d !== rows.shape[i]))
      throw new AttuneError(
        'ERR_SHAPE',
        `scatter of rows ${showShape(rows.shape)} with index ${showShape(index.shape)} into ${showShape(x.shape)}`,
        {},
      )
    return [{ dtype: x.dtype, shape: x.shape }]
  },
  loops([x, index, rows], { mode }) {
    const width = product(x.shape.slice(1))
    const data = x.data.slice()
    index.data.forEach((row, i) => {
      if (row === -1) return
      if (row < 0 || row >= x.shape[0])
        throw new AttuneError('ERR_SHAPE', `scatter index ${row} is outside ${showShape(x.shape)}`, { row, rows: x.shape[0] })
      for (let j = 0; j < width; j++) data[row * width + j] = rows.data[i * width + j] + (mode === 'add' ? data[row * width + j] : 0)
    })
    return [data]
  },
  vjp([, index], _out, [grad], { mode }) {
    if (!grad) return [undefined, undefined, undefined]
    const kept = mode === 'add' ? grad : scatterRows(copyOf(grad), index, fill(0, [...index.shape, ...grad.shape.slice(1)]), 'set')
    return [kept, undefined, gatherRows(grad, index)]
  },
}

export const gatherRows = (x: Tensor, index: Tensor): Tensor => call1(gather, [x, index], null)

export function scatterRows(x: Tensor, index: Tensor, rows: Tensor, mode: ScatterMode = 'set'): Tensor {
  if (!x.contiguous || x.offset !== 0 || elements(x.shape) !== elements(x.node.outputs[x.index].shape))
    throw new AttuneError('ERR_ARGUMENT', `scatter changes a whole value in place, not a view ${showShape(x.shape)} of it`, {
      shape: showShape(x.shape),
    })
  return call1(scatter, [x, index, rows], { mode })
}
