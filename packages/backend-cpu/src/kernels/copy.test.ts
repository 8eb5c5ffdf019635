import { expect, test } from 'vitest'
import { instructionSets, openCpu } from '../../test/devices.ts'
import { runPlan } from '../../test/run-plan.ts'
import { copyContiguous } from './copy.ts'

test.each(await instructionSets())('copy, $name', async ({ options }) => {
  const device = await openCpu(options)
  for (const n of [1, 3, 17, 16384, 100_003]) {
    const data = Float32Array.from({ length: n }, (_, i) => i)
    const [out] = await runPlan(device, copyContiguous, { inputs: [{ dtype: 'f32', shape: [n], data }], attrs: { dtype: 'f32' } })
    expect(out.data).toEqual(data)
  }
  await device.close()
})
