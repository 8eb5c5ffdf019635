import {
  type Bind,
  elements,
  gather,
  isCodec,
  type Kernel,
  type LaunchPlan,
  type ScatterMode,
  type Sig,
  scatter,
  storageName,
  type ViewType,
} from '@attune/tensor'
import { collapse, denseView, first, MAX_RANK, typeCode, whyAxes, whyPacked } from './layout.ts'

/** Rows by index; half and packed rows are decoded on the way. */
export const gatherKernel: Kernel<null> = {
  name: 'gather',
  op: gather,
  why: sig => whyRows(sig.inputs[0], sig.inputs[1], gathered(sig)),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan: sig => ({ launches: [launch('gather', sig.inputs[0], sig.inputs[1], gathered(sig), false, { output: 0 })] }),
}

/** Rows written or added by index, in place; f16, bf16 and packed destinations are encoded. */
export const scatterKernel: Kernel<{ mode: ScatterMode }> = {
  name: 'scatter',
  op: scatter,
  why({ inputs: [x, index, rows], attrs: { mode } }) {
    const whole = [x, rows].some(t => t.dtype === 'i32') && storageName(x.dtype) !== storageName(rows.dtype)
    const encodes = isCodec(x.dtype) && x.dtype.name !== 'q8_0' && x.dtype.name !== 'q4_0' && x.dtype.name !== 'q4_1'
    return first(
      x.contiguous ? undefined : 'the destination is a strided view',
      whole ? `rows of ${storageName(rows.dtype)} do not go into ${storageName(x.dtype)} without rounding` : undefined,
      encodes ? `the kernel cannot encode ${storageName(x.dtype)}` : undefined,
      mode === 'add' && (x.dtype === 'u8' || x.dtype === 'bool') ? `the kernel does not add in ${x.dtype}` : undefined,
      whyRows(x, index, rows),
    )
  },
  cost: ({ inputs }) => elements(inputs[2].shape),
  plan: ({ inputs: [x, index, rows], attrs: { mode } }) => ({
    launches: [launch('scatter', x, index, rows, mode === 'add', { input: 2 })],
  }),
}

const gathered = ({ outputs: [y] }: Sig<unknown>): ViewType => ({ ...y, strides: denseView(y.shape), contiguous: true })

/** The index's axes and a row's axes; `y` is gather's output or scatter's rows. */
function walks(x: ViewType, index: ViewType, y: ViewType) {
  const i = index.shape.length
  const last = x.shape.length - 2
  const packed = isCodec(x.dtype) || isCodec(y.dtype)
  return {
    at: collapse(index.shape, [index.strides, y.strides.slice(0, i)]),
    row: collapse(x.shape.slice(1), [x.strides.slice(1), y.strides.slice(i)], new Set(packed && last >= 0 ? [last] : [])),
  }
}

function whyRows(x: ViewType, index: ViewType, y: ViewType): string | undefined {
  const { at, row } = walks(x, index, y)
  const packed = isCodec(x.dtype) || isCodec(y.dtype)
  return first(
    whyPacked('x', x),
    whyPacked('the rows', y),
    packed && x.shape.length < 2 ? 'a row of one value cannot be packed' : undefined,
    whyAxes('the index', at, MAX_RANK / 2),
    whyAxes('a row', row, MAX_RANK),
    Math.abs(x.strides[0]) > 2 ** 31 - 1 ? 'x has a row stride beyond 2^31 elements' : undefined,
  )
}

function launch(text: string, x: ViewType, index: ViewType, y: ViewType, add: boolean, other: Bind): LaunchPlan {
  const { at, row } = walks(x, index, y)
  const head = [at.dims.length, row.dims.length, typeCode(x.dtype), typeCode(y.dtype), add ? 1 : 0, x.strides[0]]
  return {
    text,
    bind: [
      { data: Int32Array.from([...head, ...at.strides.flat(), ...row.strides.flat()]) },
      text === 'scatter' ? { output: 0 } : { input: 0 },
      { input: 1 },
      other,
    ],
    params: [...at.dims, ...row.dims, x.shape[0]],
  }
}
