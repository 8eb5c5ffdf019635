import { type Device, read, reference, tensor } from '@attune/tensor'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { checkOpGradients } from './check-op-gradients.ts'
import { nmse } from './drive.ts'
import { caseMaker, type OpCase, opCases } from './op-cases.ts'
import { poisoned } from './poison.ts'
import { runOn } from './run-on.ts'

/** The conformance suite of a device: memory, and every op of the case table equal to the reference, on NaN-poisoned memory. */
export function testDevice(name: string, open: () => Promise<Device>, cases: readonly OpCase[] = opCases): void {
  describe(name, () => {
    let device: Device
    beforeAll(async () => {
      device = await open()
    })
    afterAll(() => device.close())

    it('moves bytes', async () => {
      const b = device.alloc(1000)
      await device.write(b, Uint8Array.of(1, 2, 3), 500)
      expect([...(await device.read(b, 498, 6))]).toEqual([0, 0, 1, 2, 3, 0])
      device.free(b)
    })
    it('reads a constant', async () => expect((await read(tensor([1, 2, 3]), device)).data).toEqual(Float32Array.of(1, 2, 3)))
    it.each(cases.map(c => [c.name, c] as const))('%s', (_name, c) => testOp(device, c))
  })
}

/** One case on a device and on the reference: f32 within the case's NMSE, integers equal; gradients where the case asks for them. */
export async function testOp(device: Device, c: OpCase): Promise<void> {
  const maker = caseMaker(11)
  const outputs = c.build(maker)
  const lengths = c.lengths ?? {}
  const inputs = maker.inputs(lengths)
  const want = await runOn(reference(), outputs, lengths, inputs)
  const got = await runOn(poisoned(device), outputs, lengths, inputs)
  for (const key of Object.keys(outputs)) {
    expect(got[key].shape, key).toEqual(want[key].shape)
    if (want[key].dtype === 'i32') expect([...got[key].data], key).toEqual([...want[key].data])
    else expect(nmse(got[key].data, want[key].data), `${c.name}: ${key}`).toBeLessThanOrEqual(c.bound ?? 1e-9)
  }
  if (c.gradients) await checkOpGradients(device, { case: c, outputs, lengths, inputs, differentiable: maker.differentiable })
}
