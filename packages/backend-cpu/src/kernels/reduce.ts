import { elements, type Kernel, type ReduceAttrs, reduce, type Sig } from '@attune/tensor'
import { collapse, denseView, first, typeCode, whyAxes, whyPacked } from './layout.ts'

const BY = { sum: 0, max: 1, min: 2 }

/** One axis reduced: along it where its values are neighbours, else across a tile of outputs. */
export const reduceKernel: Kernel<ReduceAttrs> = {
  name: 'reduce',
  op: reduce,
  why(sig) {
    const packed = whyPacked('the input', sig.inputs[0])
    const axis = typeCode(sig.inputs[0].dtype) > 5 && sig.attrs.axis !== sig.inputs[0].shape.length - 1
    return first(packed, axis ? 'a packed input is reduced along its last axis only' : undefined, whyAxes('the input', axesOf(sig)))
  },
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan(sig) {
    const { inputs, attrs } = sig
    const [x] = inputs
    const axes = axesOf(sig)
    const layout = [axes.dims.length, typeCode(x.dtype), BY[attrs.by], ...axes.strides.flat(), x.strides[attrs.axis]]
    const bind = [{ data: Int32Array.from(layout) }, { input: 0 }, { output: 0 }]
    return { launches: [{ text: 'reduce', bind, params: [...axes.dims, x.shape[attrs.axis]] }] }
  },
}

function axesOf({ inputs: [x], outputs: [y], attrs: { axis, keep } }: Sig<ReduceAttrs>) {
  const others = <T>(list: readonly T[]): T[] => list.filter((_, i) => i !== axis)
  const out = denseView(y.shape)
  return collapse(others(x.shape), [others(x.strides), keep ? others(out) : out])
}
