import { type Conv1dAttrs, conv1d, conv1dOperands } from '@attune/ops'
import { elements, type Kernel, type Plan, type Sig, type Type, type ViewType } from '@attune/tensor'
import { whyUnreadable } from '../wgsl/element.ts'
import { kernelText, type Operand, type Uniform } from '../wgsl/text.ts'
import { address, elementwise, elementwiseGrid, elementwiseUniforms, output } from '../wgsl/walk.ts'

/** Causal depthwise convolution: a launch for the outputs, one for the new tail, an element per thread. */
export const conv1dKernel: Kernel<Conv1dAttrs> = {
  name: 'conv1d',
  op: conv1d,
  why: ({ inputs }) => inputs.map(t => whyUnreadable(t.dtype)).find(Boolean),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan: planConv1d,
}

function planConv1d({ inputs, outputs, attrs }: Sig<Conv1dAttrs>): Plan {
  const o = conv1dOperands<ViewType>(inputs, attrs)
  const taps = o.weight.shape[1] as number
  const given: Operand[] = attrs.names.map((name, i) => ({ name, dtype: inputs[i].dtype }))
  // Input t of a row: a token, or one of the tail before it.
  const functions = `fn start(row: u32) -> i32 { return offsets(row * ${o.offsets.strides[0]}u); }
fn given(row: u32, t: i32, c: u32) -> f32 {
  if (t < 0i) {
    let m = u32(t + ${taps - 1}i);
    return tail(${address(o.tail.strides, ['row', 'm', 'c'])});
  }
  let n = u32(start(row) + t);
  return x(${address(o.x.strides, ['n', 'c'])});
}
`
  const launch = (out: Type, number: number, statements: string) => {
    const uniforms: Uniform[] = [...elementwiseUniforms(out), { name: 'batch', type: 'u32', value: o.tail.shape[0] }]
    return {
      text: kernelText({
        operands: [output('f32'), ...given],
        uniforms,
        functions,
        main: elementwise({ out, binding: 0, statements, value: 'value' }),
      }),
      bind: [{ output: number }, ...attrs.names.map((_, i) => ({ input: i }))],
      params: uniforms.map(p => p.value),
      grid: elementwiseGrid(out),
    }
  }
  const mixed = `var row = 0u;
while (row + 1u < u.batch && start(row + 1u) <= i32(c0)) { row++; }
let t = i32(c0) - start(row);
var value = ${o.bias ? `bias(${address(o.bias.strides, ['c1'])})` : '0.0f'};
for (var k = 0u; k < ${taps}u; k++) { value += weight(${address(o.weight.strides, ['c1', 'k'])}) * given(row, t + i32(k) - ${taps - 1}i, c1); }
`
  const kept = `let value = given(c0, start(c0 + 1u) - start(c0) + i32(c1) - ${taps - 1}i, c2);\n`
  return { launches: [launch(outputs[0], 0, mixed), launch(outputs[1], 1, kept)] }
}
