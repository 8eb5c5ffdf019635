import { capacity, elements, type Kernel, matmul } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** Batched products of any views, an output element per thread, summed in f32 in the order of k. */
export const matmulKernel: Kernel<null> = {
  name: 'matmul',
  op: matmul,
  why: ({ inputs }) => inputs.map(t => whyUnreadable(t.dtype)).find(Boolean),
  cost: ({ inputs: [a], outputs: [out] }) => elements(out.shape) * capacity(a.shape.at(-1)!),
  plan({ inputs: [a, b], outputs: [out] }) {
    const rank = out.shape.length
    const at = coordinates(rank)
    const lead = (strides: readonly number[], shape: readonly unknown[]): string =>
      address(
        strides.slice(0, -2).map((s, i) => (shape[i] === 1 ? 0 : s)),
        at.slice(rank - shape.length, rank - 2),
      )
    const [am, ak] = a.strides.slice(-2)
    const [bk, bn] = b.strides.slice(-2)
    const k: Uniform = { name: 'k', type: 'u32', value: a.shape.at(-1)! }
    const uniforms = [...elementwiseUniforms(out), k]
    return {
      launches: [
        {
          text: kernelText({
            operands: [output('f32'), { name: 'a', dtype: a.dtype }, { name: 'b', dtype: b.dtype }],
            uniforms,
            main: elementwise({
              out,
              binding: 0,
              statements: `let row = ${lead(a.strides, a.shape)} + c${rank - 2} * ${am}u;
let column = ${lead(b.strides, b.shape)} + c${rank - 1} * ${bn}u;
var total = 0.0f;
for (var i = 0u; i < u.k; i++) { total += a(row + i * ${ak}u) * b(column + i * ${bk}u); }
`,
              value: 'total',
            }),
          }),
          bind: [{ output: 0 }, { input: 0 }, { input: 1 }],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
