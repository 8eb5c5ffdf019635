import { layerNorm, rmsNorm, softmax } from '@attune/ops'
import { elements, f32, type Kernel, type LaunchPlan, type Op, type Sig, type ViewType } from '@attune/tensor'
import { denseView, FLOATS, first, rows, typeCode, whyAxes, whyLastAxis, whyType } from './layout.ts'

export const rmsNormKernel = rowKernel('rms_norm', rmsNorm)
export const layerNormKernel = rowKernel('layer_norm', layerNorm)
export const softmaxKernel = rowKernel('softmax', softmax)

/** A kernel that maps each row of f32 to a row, with vectors (weight, bias) along it. */
function rowKernel<A extends { eps: number } | null>(text: string, op: Op<A>): Kernel<A> {
  return {
    name: text,
    op,
    why: sig =>
      first(
        whyType('x', sig.inputs[0], 'f32'),
        whyLastAxis('x', sig.inputs[0]),
        ...sig.inputs.slice(1).flatMap((t, i) => [whyType(VECTORS[i], t, ...FLOATS), whyLastAxis(VECTORS[i], t)]),
        whyAxes('x', axesOf(sig)),
      ),
    cost: ({ inputs }) => elements(inputs[0].shape),
    plan: sig => ({ launches: [launch(text, sig)] }),
  }
}

const VECTORS = ['the weight', 'the bias']
const axesOf = ({ inputs: [x], outputs: [y] }: Sig) => rows(x.shape, x.strides, denseView(y.shape))

function launch(text: string, sig: Sig<{ eps: number } | null>): LaunchPlan {
  const [x, ...vectors] = sig.inputs
  const axes = axesOf(sig)
  const code = (t?: ViewType): number => (t ? typeCode(t.dtype) : 0)
  return {
    text,
    bind: [
      { data: Int32Array.from([axes.dims.length, code(vectors[0]), code(vectors[1]), ...axes.strides.flat()]) },
      { input: 0 },
      { output: 0 },
      vectors[0] ? { input: 1 } : { none: true },
      vectors[1] ? { input: 2 } : { none: true },
    ],
    params: [...axes.dims, x.shape.at(-1)!, f32(sig.attrs?.eps ?? 0)],
  }
}
