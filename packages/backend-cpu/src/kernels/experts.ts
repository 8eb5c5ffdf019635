import { type MatmulExpertsAttrs, matmulExperts, matmulExpertsOperands } from '@attune/ops'
import { capacity, elements, type Kernel, type ViewType } from '@attune/tensor'
import { FLOATS, first, typeCode, whyLastAxis, whyPacked, whyType } from './layout.ts'

/** Weight rows decoded at a time (native/experts.h). */
const rows = 4

/** Routes grouped by expert inside the kernel; packed weights are decoded to f32 row by row. A token's results do not depend on its companions. */
export const expertsKernel: Kernel<MatmulExpertsAttrs> = {
  name: 'experts',
  op: matmulExperts,
  why({ inputs, attrs }) {
    const { x, weight, routes, bias } = matmulExpertsOperands<ViewType>(inputs, attrs)
    return first(
      whyType('x', x, 'f32'),
      whyLastAxis('x', x),
      whyType('the weight', weight, ...FLOATS, 'q8_0', 'q4_0', 'q4_1'),
      whyLastAxis('the weight', weight),
      whyPacked('the weight', weight),
      whyType('the routes', routes, 'i32'),
      bias && whyType('the bias', bias, ...FLOATS),
      weight.shape.some(d => typeof d !== 'number') ? 'the weight has an axis whose length is not fixed' : undefined,
      inputs.some(t => t.strides.some(s => s > 2 ** 31 - 1)) ? 'an operand has a stride beyond 2^31 elements' : undefined,
    )
  },
  cost: ({ inputs: [x], outputs: [out] }) => elements(out.shape) * capacity(x.shape.at(-1)!),
  plan({ inputs, attrs }) {
    const { x, weight, routes, bias } = matmulExpertsOperands<ViewType>(inputs, attrs)
    const at = (t: ViewType | undefined) => (t ? { input: inputs.indexOf(t) } : ({ none: true } as const))
    const [experts, out, width] = weight.shape as readonly number[]
    const layout = [
      typeCode(weight.dtype),
      ...(x.shape.length === 2 ? [x.strides[0], 0] : x.strides.slice(0, 2)),
      ...weight.strides.slice(0, 2),
      ...routes.strides,
      ...(bias ? [typeCode(bias.dtype), ...bias.strides] : [0, 0, 0]),
    ]
    return {
      launches: [
        {
          text: 'matmul_experts',
          bind: [{ data: Int32Array.from(layout) }, at(x), at(weight), at(routes), at(bias), { output: 0 }],
          params: [...routes.shape, experts, out, width],
          threadScratch: (rows * width + elements(routes.shape)) * 4,
        },
      ],
    }
  },
}
