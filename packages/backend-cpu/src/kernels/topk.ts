import { elements, type Kernel, type Sig, topk } from '@attune/tensor'
import { denseView, first, rows, typeCode, whyAxes, whyPacked } from './layout.ts'

/** The k largest of each row by a heap in the output. */
export const topkKernel: Kernel<{ k: number }> = {
  name: 'topk',
  op: topk,
  why: sig => first(whyPacked('the input', sig.inputs[0]), whyAxes('the input', axesOf(sig))),
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan(sig) {
    const [x] = sig.inputs
    const axes = axesOf(sig)
    const layout = [axes.dims.length, typeCode(x.dtype), x.strides.at(-1)!, sig.attrs.k, ...axes.strides.flat()]
    const bind = [{ data: Int32Array.from(layout) }, { input: 0 }, { output: 0 }, { output: 1 }]
    return { launches: [{ text: 'topk', bind, params: [...axes.dims, x.shape.at(-1)!] }] }
  },
}

const axesOf = ({ inputs: [x], outputs: [y] }: Sig) => rows(x.shape, x.strides, denseView(y.shape))
