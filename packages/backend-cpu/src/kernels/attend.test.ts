import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AttendCase, type MadeAttend, makeAttend } from '../../test/attend-case.ts'
import { attendCases } from '../../test/attend-cases.ts'
import { instructionSets, openCpu } from '../../test/devices.ts'
import { runPlan } from '../../test/run-plan.ts'
import type { CpuDevice } from '../index.ts'
import { attendFused } from './attend.ts'

describe.each(await instructionSets())('attend, $name', ({ options }) => {
  let device: CpuDevice
  beforeAll(async () => {
    device = await openCpu({ ...options, threads: 1 })
  })
  afterAll(() => device.close())

  it.each(attendCases)('$name', async c => {
    const { made, expected } = prepared(c)
    const [out, ...more] = await runPlan(device, attendFused, made)
    expect(furthest(out.data, expected.out)).toBeLessThan(2e-5)
    if (c.lse) expect(furthest(more[0].data, expected.lse)).toBeLessThan(2e-5)
    if (c.mass) expect(furthest(more[more.length - 1].data, expected.mass)).toBeLessThan(2e-5)
  })
})

const known = new Map<AttendCase, { made: MadeAttend; expected: ReturnType<MadeAttend['reference']> }>()
/** A case with its reference, made once for all instruction sets. */
function prepared(c: AttendCase) {
  let p = known.get(c)
  if (!p) {
    const made = makeAttend(c)
    p = { made, expected: made.reference() }
    known.set(c, p)
  }
  return p
}

/** Largest difference, relative for numbers beyond 1. */
function furthest(got: ArrayLike<number>, expected: Float64Array): number {
  expect(got.length).toBe(expected.length)
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(got[i] - expected[i]) / Math.max(1, Math.abs(expected[i]))
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
  }
  return worst
}
