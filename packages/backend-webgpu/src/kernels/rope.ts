import { variable } from '@attune/expr'
import { type RopeAttrs, rope } from '@attune/ops'
import { elements, type Kernel } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { exprHelpers } from '../wgsl/expr.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

const TURN = [variable('x').sin(), variable('x').cos()]

/** Rotary positions, an output element per thread. */
export const ropeKernel: Kernel<RopeAttrs> = {
  name: 'rope',
  op: rope,
  why: ({ inputs }) => inputs.map(t => whyUnreadable(t.dtype)).find(Boolean),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan({ inputs: [x, positions, frequencies], outputs: [out], attrs: { pairing, factor } }) {
    const f = frequencies.shape[0] as number
    const half = pairing === 'half'
    const uniforms: Uniform[] = [...elementwiseUniforms(out), { name: 'factor', type: 'f32', value: { f32: factor } }]
    const read = (d: string) => `x(start + (${d}) * ${x.strides[2]}u)`
    return {
      launches: [
        {
          text: kernelText({
            operands: [
              output('f32'),
              { name: 'x', dtype: x.dtype },
              { name: 'positions', dtype: positions.dtype },
              { name: 'frequencies', dtype: frequencies.dtype },
            ],
            uniforms,
            functions: exprHelpers(TURN),
            main: elementwise({
              out,
              binding: 0,
              statements: `let start = ${address(x.strides, ['c0', 'c1'])};
var value = ${read('c2')};
if (c2 < ${2 * f}u) {
  let pair = ${half ? `c2 % ${Math.max(1, f)}u` : 'c2 / 2u'};
  let first = ${half ? `c2 < ${f}u` : 'c2 % 2u == 0u'};
  let angle = f32(positions(${address(positions.strides, ['c0'])})) * frequencies(${address(frequencies.strides, ['pair'])});
  let other = ${read(half ? `(c2 + ${f}u) % ${Math.max(1, 2 * f)}u` : 'c2 ^ 1u')};
  let turn = attune_sin(angle) * u.factor;
  value = value * (attune_cos(angle) * u.factor) + other * select(turn, -turn, first);
}
`,
              value: 'value',
            }),
          }),
          bind: [{ output: 0 }, { input: 0 }, { input: 1 }, { input: 2 }],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
