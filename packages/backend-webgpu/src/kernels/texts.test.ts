import { k, q, s, table } from '@attune/expr'
import { attendOf } from '@attune/ops'
import { input, type Kernel, length, mapExpr, mapWith, type Sig, type Tensor, tensor } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { attendKernel } from './attend.ts'
import { kernels } from './index.ts'
import { mapKernel } from './map.ts'

const limits = { maxBufferBytes: 2 ** 30, maxBindings: 64, features: new Set<string>(), threads: 1 }

function planOf(kernel: Kernel, { node }: Tensor) {
  const sig: Sig = { inputs: node.inputs, outputs: node.outputs, attrs: node.attrs }
  expect(kernel.why(sig, limits)).toBeUndefined()
  return kernel.plan(sig, limits)
}

describe('texts', () => {
  const n = length('n', 16)

  it('of a map: strides are text, captured numbers and lengths are uniforms', () => {
    const x = input('x', 'f16', [4, n])
    const [launch] = planOf(
      mapKernel,
      mapWith(a => a.mul(0.5).exp(), [x.transpose()]),
    ).launches
    expect(launch.text).toMatchSnapshot()
    expect(launch.params).toEqual([{ product: [4, n] }, { f32: 0.5 }])
    expect(launch.grid!(new Map([[n, 7]]))).toEqual([1, 1, 1])
    const other = planOf(
      mapKernel,
      mapWith(a => a.mul(0.25).exp(), [x.transpose()]),
    ).launches[0]
    expect(other.text).toBe(launch.text)
  })

  it('of a map to bool: a word of four per thread, a table clamped', () => {
    const ids = table(tensor([3, 1, 2], [3], 'i32'), { dtype: 'i32', rank: 1 })
    const made = mapWith(a => ids.at(a).lt(2), [input('x', 'i32', [9])])
    expect(planOf(mapKernel, made).launches[0].text).toMatchSnapshot()
  })

  it('of attend: causal, soft-capped, grouped heads', () => {
    const at = (name: string, shape: readonly (number | typeof n)[]) => input(name, 'i32', shape)
    const { out } = attendOf(
      {
        q: input('q', 'f32', [n, 4, 8]),
        k: input('k', 'f16', [2, 2, 128, 8]),
        v: input('v', 'f16', [2, 2, 128, 8]),
        ...{ lengths: at('lengths', [2, 2]), offsets: at('offsets', [3]), qRow: at('rows', [n]) },
      },
      { mask: k.row.le(q.row), score: s.div(5).tanh().mul(5), lse: true },
    )
    const { launches } = planOf(attendKernel, out)
    expect(launches.map(l => l.text)).toMatchSnapshot()
    expect(launches[0].grid!(new Map([[n, 7]]))).toEqual([28, 1, 1])
  })

  it('are planned anew each time and equal', () => {
    expect(new Set(kernels.map(x => x.name)).size).toBe(kernels.length)
    const made = mapExpr(q.row.f32(), [], { dtype: 'f32' })
    const plan = () => planOf(mapKernel, made).launches[0].text
    expect(plan()).toBe(plan())
  })
})
