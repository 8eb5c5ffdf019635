import { type Codec, copy, elements, isCodec, type Kernel, type LaunchPlan, type Storage, type Type, type ViewType } from '@attune/tensor'
import { converted, valueType, whyUnreadable } from '../wgsl/element.ts'
import { packFunction, unitOf, whyUnpackable } from '../wgsl/pack.ts'
import { gridOf, kernelText, paramValue, SIZE } from '../wgsl/text.ts'
import { address, coordinates, elementwise, elementwiseGrid, elementwiseUniforms, output, walk } from '../wgsl/walk.ts'

/** Any view to dense memory, with any change of type. */
export const copyKernel: Kernel<{ dtype: Storage }> = {
  name: 'copy',
  op: copy,
  why: ({ inputs: [x], outputs: [y] }) => whyUnreadable(x.dtype) ?? (isCodec(y.dtype) ? whyUnpackable(y.dtype) : undefined),
  cost: ({ outputs }) => elements(outputs[0].shape),
  plan: ({ inputs: [x], outputs: [out] }) => ({ launches: [isCodec(out.dtype) ? packing(x, out, out.dtype) : converting(x, out)] }),
}

function converting(x: ViewType, out: Type): LaunchPlan {
  const uniforms = elementwiseUniforms(out)
  return {
    text: kernelText({
      operands: [output(out.dtype), { name: 'x', dtype: x.dtype }],
      uniforms,
      main: elementwise({ out, binding: 0, value: converted(valueType(x.dtype), valueType(out.dtype), read(x)) }),
    }),
    bind: [{ output: 0 }, { input: 0 }],
    params: uniforms.map(p => p.value),
    grid: elementwiseGrid(out),
  }
}

/** A unit of blocks per thread. */
function packing(x: ViewType, out: Type, codec: Codec): LaunchPlan {
  const unit = unitOf(codec)
  const { count, coordinates: decompose, inside } = walk(out.shape)
  const uniforms = elementwiseUniforms(out)
  return {
    text: kernelText({
      operands: [output(codec), { name: 'x', dtype: x.dtype }],
      uniforms,
      functions: `fn value(at: u32) -> f32 {
  ${decompose}${inside ? `if (!(${inside})) { return 0.0f; }\n  ` : ''}return ${converted(valueType(x.dtype), 'f32', read(x))};
}
${packFunction(0, codec)}`,
      main: `for (var b = 0u; b < ${unit}u; b++) {
  let block = (group * ${SIZE}u + lane) * ${unit}u + b;
  if (block * ${codec.block}u >= u.count) { return; }
  var values: array<f32, ${codec.block}>;
  for (var i = 0u; i < ${codec.block}u; i++) { values[i] = value(block * ${codec.block}u + i); }
  pack(&values, u.at0 + block * ${codec.bytes}u);
}`,
    }),
    bind: [{ output: 0 }, { input: 0 }],
    params: uniforms.map(p => p.value),
    grid: gridOf(n => Math.ceil(paramValue(count, n) / (codec.block * unit * SIZE))),
  }
}

const read = (x: ViewType): string => `x(${address(x.strides, coordinates(x.shape.length))})`
