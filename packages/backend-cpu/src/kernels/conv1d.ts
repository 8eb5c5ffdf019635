import { type Conv1dAttrs, conv1d, conv1dOperands } from '@attune/ops'
import { elements, type Kernel, rowMajor, type ViewType } from '@attune/tensor'
import { FLOATS, first, typeCode, whyLastAxis, whyType } from './layout.ts'

/** A launch for the outputs, a launch for the new tail. */
export const conv1dKernel: Kernel<Conv1dAttrs> = {
  name: 'conv1d',
  op: conv1d,
  why({ inputs, attrs }) {
    const { x, weight, tail, offsets, bias } = conv1dOperands(inputs, attrs)
    return first(
      whyType('x', x, 'f32'),
      whyLastAxis('x', x),
      whyType('the weight', weight, ...FLOATS),
      whyType('the tail', tail, ...FLOATS),
      whyLastAxis('the tail', tail),
      whyType('the offsets', offsets, 'i32'),
      bias && whyType('the bias', bias, ...FLOATS),
      bias && whyLastAxis('the bias', bias),
      inputs.some(t => t.strides.some(s => s > 2 ** 31 - 1)) ? 'an operand has a stride beyond 2^31 elements' : undefined,
    )
  },
  cost: ({ inputs: [x, weight] }) => elements(x.shape) * (weight.shape[1] as number),
  plan({ inputs, attrs, outputs }) {
    const o = conv1dOperands(inputs, attrs)
    const at = (t: ViewType | undefined) => (t ? { input: inputs.indexOf(t) } : ({ none: true } as const))
    const [channels, taps] = o.weight.shape as readonly number[]
    const types = [typeCode(o.weight.dtype), typeCode(o.tail.dtype), o.bias ? typeCode(o.bias.dtype) : 0]
    const strides = [o.x.strides[0], ...o.weight.strides, ...o.tail.strides.slice(0, 2), o.offsets.strides[0]]
    const launch = (text: string, output: number) => ({
      text,
      bind: [
        { data: Int32Array.from([...types, ...strides, rowMajor(outputs[output].shape)[0]]) },
        at(o.x),
        at(o.weight),
        at(o.tail),
        at(o.offsets),
        at(o.bias),
        { output },
      ],
      params: [...o.x.shape, taps, o.tail.shape[0]],
      threadScratch: (2 * taps + 1) * channels * 4,
    })
    return { launches: [launch('conv1d', 0), launch('conv1d_tail', 1)] }
  },
}
