import { type MatmulExpertsAttrs, matmulExperts, matmulExpertsOperands } from '@attune/ops'
import { capacity, elements, type Kernel, type ViewType } from '@attune/tensor'
import { dotFunction } from '../wgsl/dot.ts'
import { whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'
import { whyRows } from './linear.ts'

/** Each token by the matrices of its own experts, an output element per thread: work follows the routes, not the experts. */
export const matmulExpertsKernel: Kernel<MatmulExpertsAttrs> = {
  name: 'matmulExperts',
  op: matmulExperts,
  why: ({ inputs, attrs }) =>
    inputs.map(t => whyUnreadable(t.dtype)).find(Boolean) ?? whyRows(matmulExpertsOperands<ViewType>(inputs, attrs).weight),
  cost: ({ inputs, outputs: [out], attrs }) =>
    elements(out.shape) * capacity(matmulExpertsOperands<ViewType>(inputs, attrs).x.shape.at(-1)!),
  plan({ inputs, outputs: [out], attrs }) {
    const { x, weight, routes, bias } = matmulExpertsOperands<ViewType>(inputs, attrs)
    const uniforms: Uniform[] = [
      ...elementwiseUniforms(out),
      { name: 'k', type: 'u32', value: weight.shape[2] },
      { name: 'experts', type: 'i32', value: weight.shape[0] },
    ]
    const names: Record<string, string> = { weight: 'w' }
    const binding = 1 + attrs.names.indexOf('weight')
    const row = x.shape.length === 2 ? address(x.strides.slice(0, 1), ['c0']) : address(x.strides.slice(0, 2), ['c0', 'c1'])
    return {
      launches: [
        {
          text: kernelText({
            operands: [output('f32'), ...attrs.names.map((name, i) => ({ name: names[name] ?? name, dtype: inputs[i].dtype }))],
            uniforms,
            functions: dotFunction('w', binding, weight.dtype, 'x', x.strides.at(-1)!),
            main: elementwise({
              out,
              binding: 0,
              statements: `let route = routes(${address(routes.strides, ['c0', 'c1'])});
var value = 0.0f;
if (route >= 0i && route < u.experts) {
  let expert = u32(route);
  value = w_dot(${address(weight.strides, ['expert', 'c2'])}, ${row}, u.k)${bias ? ` + bias(${address(bias.strides, ['expert', 'c2'])})` : ''};
}
`,
              value: 'value',
            }),
          }),
          bind: [{ output: 0 }, ...attrs.names.map((_, i) => ({ input: i }))],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
