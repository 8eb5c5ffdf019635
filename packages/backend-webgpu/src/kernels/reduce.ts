import { elements, type Kernel, type ReduceAttrs, reduce } from '@attune/tensor'
import { converted, valueType, whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

const STEP = { sum: 'total + next', max: 'max(total, next)', min: 'min(total, next)' }
/** Of an empty axis: 0, −∞, ∞ as words; WGSL has no literal for an infinity. */
const EMPTY = { sum: '0u', max: '4286578688u', min: '2139095040u' }
const EMPTY_INTEGER = { sum: '0', max: '-2147483647 - 1', min: '2147483647' }

/** One axis reduced, an output element per thread, in the order of the axis. */
export const reduceKernel: Kernel<ReduceAttrs> = {
  name: 'reduce',
  op: reduce,
  why: ({ inputs: [x] }) => whyUnreadable(x.dtype),
  cost: ({ inputs }) => elements(inputs[0].shape),
  plan({ inputs: [x], outputs: [out], attrs: { by, axis, keep } }) {
    const type = valueType(out.dtype)
    const at = coordinates(out.shape.length)
    const others = x.strides.filter((_, a) => a !== axis)
    const start = address(others, keep ? at.filter((_, a) => a !== axis) : at)
    const n: Uniform = { name: 'n', type: 'u32', value: x.shape[axis] }
    const uniforms = [...elementwiseUniforms(out), n]
    const next = converted(valueType(x.dtype), type, `x(start + i * ${x.strides[axis]}u)`)
    const nothing = type === 'i32' ? `${EMPTY_INTEGER[by]}` : '0.0f'
    const empty = type === 'f32' && by !== 'sum' ? `if (u.n == 0u) { m0[(u.at0 >> 2u) + at] = ${EMPTY[by]}; return; }\n` : ''
    const first = by === 'sum' ? nothing : type === 'i32' ? nothing : converted(valueType(x.dtype), type, 'x(start)')
    return {
      launches: [
        {
          text: kernelText({
            operands: [output(out.dtype), { name: 'x', dtype: x.dtype }],
            uniforms,
            main: elementwise({
              out,
              binding: 0,
              statements: `let start = ${start};
${empty}var total: ${type} = ${first};
for (var i = 0u; i < u.n; i++) { let next = ${next}; total = ${STEP[by]}; }
`,
              value: 'total',
            }),
          }),
          bind: [{ output: 0 }, { input: 0 }],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
