import { length } from '@attune/tensor'
import { expect, it } from 'vitest'
import { expectReference, f32s, i32s, integers, onEveryBuild } from '../../test/against-reference.ts'
import { runPlan } from '../../test/run-plan.ts'
import { ropeKernel } from './rope.ts'

const frequencies = (f: number, base = 10_000) => ({
  dtype: 'f32' as const,
  shape: [f],
  data: Float32Array.from({ length: f }, (_, i) => base ** (-i / f)),
})

onEveryBuild(open => {
  it.each([0, 1, 63, 64, 65])('turns %i tokens', async tokens => {
    const device = await open()
    const t = length('t', 70)
    const lengths = new Map([[t, tokens]])
    const positions = { ...i32s([70], integers(70, 131_072, 3)), shape: [t] }
    for (const pairing of ['half', 'interleaved'] as const)
      for (const [width, f, factor] of [
        [64, 32, 1],
        [20, 5, 1.2],
        [6, 3, 1],
        [80, 33, 1],
      ])
        await expectReference(
          device,
          ropeKernel,
          { inputs: [{ ...f32s([70, 3, width]), shape: [t, 3, width] }, positions, frequencies(f)], attrs: { pairing, factor }, lengths },
          { absolute: 1e-6 },
        )
  })
  it('reads strided heads', async () => {
    const x = { ...f32s([4, 9, 70]), shape: [9, 4, 64], strides: [70, 630, 1], offset: 3 }
    const inputs = [x, { ...i32s([18], integers(18, 999)), shape: [9], strides: [2] }, frequencies(32)]
    await expectReference(await open(), ropeKernel, { inputs, attrs: { pairing: 'half', factor: 1 } }, { absolute: 1e-6 })
  })
  it('gives the same bits whatever stands beside a token', async () => {
    const device = await open()
    const x = f32s([300, 2, 64])
    const positions = i32s([300], integers(300, 5000))
    const attrs = { pairing: 'half', factor: 1 }
    const [all] = await runPlan(device, ropeKernel, { inputs: [x, positions, frequencies(32)], attrs })
    const one = [{ ...x, shape: [1, 2, 64], offset: 128 * 217 }, { ...positions, shape: [1], offset: 217 }, frequencies(32)]
    expect((await runPlan(device, ropeKernel, { inputs: one, attrs }))[0].data).toEqual(all.data.slice(128 * 217, 128 * 218))
  })
})
