import { copy, elements, isCodec, type Kernel, type Storage } from '@attune/tensor'
import { collapse, denseView, first, times, typeCode, whyAxes, whyPacked } from './layout.ts'

/** A dense copy of dense f32. */
export const copyContiguous: Kernel<{ dtype: Storage }> = {
  name: 'copy',
  op: copy,
  why: ({ inputs: [x], outputs: [out] }) =>
    x.dtype !== 'f32' || out.dtype !== 'f32'
      ? 'copies f32 only'
      : !x.contiguous
        ? 'the input is not dense'
        : x.shape.slice(1).every(d => typeof d === 'number')
          ? undefined
          : 'a length stands inside the shape',
  cost: ({ inputs: [x] }) => elements(x.shape) * 0.9,
  plan: ({ inputs: [x] }) => ({
    launches: [{ text: 'copy', bind: [{ input: 0 }, { output: 0 }], params: [times(...x.shape)] }],
  }),
}

/** Strided views to dense memory, with any change of type the codecs allow. */
export const copyStrided: Kernel<{ dtype: Storage }> = {
  name: 'copy_strided',
  op: copy,
  why({ inputs: [x], outputs: [y] }) {
    return first(
      whyPacked('the input', x),
      whyPacked('the output', { ...y, strides: denseView(y.shape), contiguous: true }),
      whyAxes('the input', collapse(x.shape, [x.strides, denseView(y.shape)], packedAxes(x.dtype, y.dtype, x.shape.length))),
    )
  },
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan({ inputs: [x], outputs: [y] }) {
    const axes = collapse(x.shape, [x.strides, denseView(y.shape)], packedAxes(x.dtype, y.dtype, x.shape.length))
    const layout = [axes.dims.length, typeCode(x.dtype), typeCode(y.dtype), ...axes.strides.flat()]
    return {
      launches: [{ text: 'copy_strided', bind: [{ data: Int32Array.from(layout) }, { input: 0 }, { output: 0 }], params: axes.dims }],
    }
  },
}

/** Blocks lie along the last axis: it stays the innermost one even when its extent is 1. */
const packedAxes = (a: Storage, b: Storage, rank: number): ReadonlySet<number> =>
  new Set((isCodec(a) || isCodec(b)) && rank > 0 ? [rank - 1] : [])
