import { attend, scanOf } from '@attune/ops'
import { bytesOf, Constant, call, constantTensor, isCodec, itemBytes, read, readAll, record, rowMajor, type Tensor } from '@attune/tensor'
import { poisoned } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { makeAttend } from '../../backend-cpu/test/attend-case.ts'
import { attendCases } from '../../backend-cpu/test/attend-cases.ts'
import type { PlanInput } from '../../backend-cpu/test/run-plan.ts'
import { build, floats, oracleCases } from '../../ops/test/attend-oracle.ts'
import { floatsOf, scanCases, scanOperandsOf } from '../../ops/test/scan-oracle.ts'
import { openWebGpu, whyNoVulkan } from './open.ts'

describe.skipIf(whyNoVulkan)(`Dawn on SwiftShader${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, () => {
  const opened = whyNoVulkan ? undefined : openWebGpu()
  const device = async () => poisoned(await opened!)
  afterAll(async () => (await opened)?.close())

  describe('attend is what PyTorch computes', () => {
    it.each(oracleCases.map(c => [c.name, c] as const))('%s', async (_, c) => {
      const { out, lse, mass } = build(c).result
      const wanted: Record<string, [Tensor, Float32Array]> = { out: [out, floats(c.out)] }
      if (c.lse) wanted.lse = [lse!, floats(c.lseOut!)]
      if (c.mass) wanted.mass = [mass!, floats(c.massOut!)]
      const got = await readAll(Object.fromEntries(Object.entries(wanted).map(([name, [t]]) => [name, t])), await device())
      for (const [name, [, want]] of Object.entries(wanted)) expect(furthest(got[name].data, want), name).toBeLessThan(2e-5)
    })
  })

  describe('attend is its definition in float64, by one kernel', () => {
    it.each(attendCases.filter(c => !TILING.test(c.name)).map(c => [c.name, c] as const))('%s', async (_, c) => {
      const made = makeAttend(c)
      const outputs = call(attend, made.inputs.map(leafOf), made.attrs)
      const want = made.reference()
      const wanted = [want.out, ...(c.lse ? [want.lse] : []), ...(c.mass ? [want.mass] : [])]
      const recording = await record(await device(), { outputs: Object.fromEntries(outputs.map((t, i) => [i, t])) })
      expect(recording.choices.map(x => x.by)).toEqual(['attend'])
      await recording.run()
      for (const [i, w] of wanted.entries()) expect(furthest((await recording.read(String(i))).data, w)).toBeLessThan(2e-5)
      recording.dispose()
      recording.arena.dispose()
    })
  })

  it('counts the slots it scores: those in use, or those of the blocks', async () => {
    for (const [name, most] of [
      ['blocks', 4 * 16],
      ['causal, one token', 701],
    ] as const) {
      const made = makeAttend(attendCases.find(c => c.name === name)!)
      const work = call(attend, made.inputs.map(leafOf), { ...made.attrs, work: true }).at(-1)!
      const { data } = await read(work, await device())
      expect(Math.max(...data)).toBe(most)
    }
  })

  describe("scan is its authors' code", () => {
    it.each(scanCases().map(c => [c.form, c] as const))('%s', async (_, c) => {
      const { operands, options } = scanOperandsOf(c)
      const made = scanOf(operands, options)
      const got = await readAll({ out: made.out, state: made.state }, await device())
      expect(furthest(got.out.data, floatsOf(c.out))).toBeLessThan(5e-6)
      if (c.state) expect(furthest(got.state.data, floatsOf(c.state))).toBeLessThan(5e-6)
    })
  })
})

/** Cases about how the CPU's kernel cuts its work: slow here, and the op cases have the like. */
const TILING =
  /^(causal|window|alibi|softcap)\b(?!.*(after|layer))|few tokens|five tokens|first token|chunks|prefix|seventeen|pages larger|f16, narrow/

function leafOf({ dtype, shape, strides, offset = 0, data }: PlanInput): Tensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
  const count = isCodec(dtype) ? (bytes.byteLength / dtype.bytes) * dtype.block : bytes.byteLength / itemBytes(dtype)
  expect(bytesOf(dtype, count)).toBe(bytes.byteLength)
  return constantTensor(new Constant(dtype, [count], bytes)).view(shape, strides ?? rowMajor(shape), offset)
}

/** Largest difference, relative for numbers beyond 1. */
function furthest(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length)
  let worst = 0
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs(got[i] - expected[i]) / Math.max(1, Math.abs(expected[i]))
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference
  }
  return worst
}
