import { elements, gather, type Kernel } from '@attune/tensor'
import { valueType, whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

const ZERO = { f32: '0.0f', i32: '0i', bool: 'false' }

/** Rows by index, an output element per thread; half and packed rows are decoded on the way. */
export const gatherKernel: Kernel<null> = {
  name: 'gather',
  op: gather,
  why: ({ inputs: [x] }) => whyUnreadable(x.dtype),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan({ inputs: [x, index], outputs: [out] }) {
    const at = coordinates(out.shape.length)
    const rank = index.shape.length
    const inRow = address(x.strides.slice(1), at.slice(rank))
    const rows: Uniform = { name: 'rows', type: 'i32', value: x.shape[0] }
    const uniforms = [...elementwiseUniforms(out), rows]
    return {
      launches: [
        {
          text: kernelText({
            operands: [output(out.dtype), { name: 'x', dtype: x.dtype }, { name: 'index', dtype: 'i32' }],
            uniforms,
            main: elementwise({
              out,
              binding: 0,
              statements: `let row = index(${address(index.strides, at.slice(0, rank))});
var value = ${ZERO[valueType(x.dtype)]};
if (row != -1i && u.rows > 0i) { value = x(u32(clamp(row, 0i, u.rows - 1i)) * ${x.strides[0]}u + ${inRow}); }
`,
              value: 'value',
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
