import { evaluate, variable } from '@attune/expr'
import { expect, it } from 'vitest'
import { activation, activations } from './activation.ts'

const AT = [-5, -1.5, -0.3, 0, 0.7, 2.5]
/** ACT2FN of transformers 5.23.0, float32. */
const want: Record<string, number[]> = {
  silu: [-0.03346425, -0.27363828, -0.12766725, 0.0, 0.46773142, 2.31035447],
  swish: [-0.03346425, -0.27363828, -0.12766725, 0.0, 0.46773142, 2.31035447],
  gelu: [-1.19e-6, -0.10021086, -0.11462658, 0.0, 0.53062546, 2.48447585],
  gelu_python: [-1.49e-6, -0.10021077, -0.11462658, 0.0, 0.53062546, 2.48447585],
  gelu_new: [-3e-7, -0.10042843, -0.11462908, 0.0, 0.53057015, 2.48491573],
  gelu_fast: [-3e-7, -0.10042843, -0.11462908, 0.0, 0.53057015, 2.48491573],
  gelu_accurate: [-3e-7, -0.10042843, -0.11462908, 0.0, 0.53057015, 2.48491573],
  gelu_pytorch_tanh: [-3e-7, -0.10042843, -0.11462908, 0.0, 0.53057015, 2.48491573],
  gelu_python_tanh: [-3e-7, -0.10042843, -0.11462908, 0.0, 0.53057015, 2.48491573],
  quick_gelu: [-0.00100702, -0.1083378, -0.11251587, 0.0, 0.53689396, 2.46501398],
  tanh: [-0.99990922, -0.90514827, -0.29131263, 0.0, 0.60436779, 0.98661429],
  relu: [0.0, 0.0, 0.0, 0.0, 0.69999999, 2.5],
  relu2: [0.0, 0.0, 0.0, 0.0, 0.48999998, 6.25],
}

it.each(Object.keys(activations))('%s is what transformers calls so', name => {
  const f = activation(name)(variable('x'))
  AT.forEach((x, i) => expect(Math.abs(evaluate(f, { x }) - want[name][i])).toBeLessThan(3e-6))
})
it('names an activation it does not know', () => {
  expect(() => activation('surprise')).toThrow(/hidden_act 'surprise'/)
})
