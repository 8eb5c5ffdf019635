import { copy, elements, isCodec, type Kernel, type Storage } from '@attune/tensor'
import { converted, valueType, whyUnreadable } from '../wgsl/element.ts'
import { kernelText } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** Any view to dense memory, with any change of type that does not pack. */
export const copyKernel: Kernel<{ dtype: Storage }> = {
  name: 'copy',
  op: copy,
  why: ({ inputs: [x], outputs: [y] }) =>
    whyUnreadable(x.dtype) ?? (isCodec(y.dtype) ? `the kernel does not pack ${y.dtype.name}` : undefined),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan({ inputs: [x], outputs: [out] }) {
    const uniforms = elementwiseUniforms(out)
    const read = `x(${address(x.strides, coordinates(out.shape.length))})`
    return {
      launches: [
        {
          text: kernelText({
            operands: [output(out.dtype), { name: 'x', dtype: x.dtype }],
            uniforms,
            main: elementwise({ out, binding: 0, value: converted(valueType(x.dtype), valueType(out.dtype), read) }),
          }),
          bind: [{ output: 0 }, { input: 0 }],
          params: uniforms.map(p => p.value),
          grid: elementwiseGrid(out),
        },
      ],
    }
  },
}
