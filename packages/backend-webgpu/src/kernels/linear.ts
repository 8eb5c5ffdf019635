import { linear } from '@attune/ops'
import { capacity, elements, isCodec, type Kernel, type ViewType } from '@attune/tensor'
import { dotFunction } from '../wgsl/dot.ts'
import { whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Uniform } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** The reason why rows of a weight cannot be read one after another, or undefined. */
export const whyRows = ({ dtype, strides, shape }: ViewType): string | undefined => {
  if (capacity(shape.at(-1)!) !== 1 && strides.at(-1) !== 1) return 'a row of the weight is not dense'
  const whole = !isCodec(dtype) || (strides.slice(0, -1).every(s => s % dtype.block === 0) && capacity(shape.at(-1)!) % dtype.block === 0)
  return whole ? undefined : 'the weight is a view that cuts packed blocks'
}

/** x · wᵀ + bias with the weight as it is stored, an output element per thread. Activations are not rounded. */
export const linearKernel: Kernel<null> = {
  name: 'linear',
  op: linear,
  why: ({ inputs }) => inputs.map(t => whyUnreadable(t.dtype)).find(Boolean) ?? whyRows(inputs[1]),
  cost: ({ inputs: [x], outputs: [out] }) => elements(out.shape) * capacity(x.shape.at(-1)!),
  plan({ inputs: [x, w, bias], outputs: [out] }) {
    const rank = out.shape.length
    const at = coordinates(rank)
    const k: Uniform = { name: 'k', type: 'u32', value: w.shape[1] }
    const uniforms = [...elementwiseUniforms(out), k]
    const row = address(x.strides.slice(0, -1), at.slice(0, -1))
    const column = at[rank - 1]
    return {
      launches: [
        {
          text: kernelText({
            operands: [
              output('f32'),
              { name: 'x', dtype: x.dtype },
              { name: 'w', dtype: w.dtype },
              ...(bias ? [{ name: 'bias', dtype: bias.dtype }] : []),
            ],
            uniforms,
            functions: dotFunction('w', 2, w.dtype, 'x', x.strides.at(-1)!),
            main: elementwise({
              out,
              binding: 0,
              value: `w_dot(${column} * ${w.strides[0]}u, ${row}, u.k)${bias ? ` + bias(${address(bias.strides, [column])})` : ''}`,
            }),
          }),
          bind: [{ output: 0 }, { input: 0 }, { input: 1 }, ...(bias ? [{ input: 2 }] : [])],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
