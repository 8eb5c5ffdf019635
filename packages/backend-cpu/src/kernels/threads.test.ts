import { variable } from '@attune/expr'
import { silu } from '@attune/ops'
import { expect, it } from 'vitest'
import { f32s, i32s, integers } from '../../test/against-reference.ts'
import { openCpu } from '../../test/devices.ts'
import { type PlanCase, runPlan } from '../../test/run-plan.ts'
import { kernels } from './index.ts'

const x = f32s([700, 96])
const options = { ...f32s([700, 8]), data: new Float32Array(5600).map((_, i) => [0.7, 12, 0.9, 0.01, 1.2, 0, 0, 0][i % 8]) }
const cases: [string, PlanCase][] = [
  ['map', { inputs: [x], attrs: { expr: silu(variable('x0', 'f32')), arity: 1, dtype: 'f32', shape: [] } }],
  ['reduce', { inputs: [x], attrs: { by: 'sum', axis: 0, keep: false } }],
  ['copy_strided', { inputs: [{ ...x, shape: [96, 700], strides: [1, 96] }], attrs: { dtype: 'f16' } }],
  ['gather', { inputs: [x, i32s([900], integers(900, 700))], attrs: null }],
  ['scatter', { inputs: [f32s([50, 96], 3), i32s([700], integers(700, 50)), x], attrs: { mode: 'add' } }],
  ['topk', { inputs: [x], attrs: { k: 9 } }],
  ['random', { inputs: [i32s([2], [3, 4])], attrs: { shape: [50_000] } }],
  ['rms_norm', { inputs: [x, f32s([96], 2)], attrs: { eps: 1e-5 } }],
  ['softmax', { inputs: [x], attrs: null }],
  ['rope', { inputs: [f32s([700, 2, 48]), i32s([700], integers(700, 5000)), f32s([24], 2)], attrs: { pairing: 'half', factor: 1 } }],
  ['sample', { inputs: [x, options, i32s([700, 2], integers(1400, 96)), i32s([700, 2], integers(1400, 1e6))], attrs: null }],
]

it('every kernel gives the same bits on one thread and on three', async () => {
  const devices = [await openCpu({ threads: 1 }), await openCpu({ threads: 3 })]
  for (const [name, test] of cases) {
    const kernel = kernels.find(k => k.name === name)!
    const fresh = (): PlanCase => ({ ...test, inputs: test.inputs.map(t => ({ ...t, data: (t.data as Float32Array).slice() })) })
    const [one, three] = [await runPlan(devices[0], kernel, fresh()), await runPlan(devices[1], kernel, fresh())]
    for (const [i, o] of one.entries()) expect(three[i].data, name).toEqual(o.data)
  }
  for (const d of devices) await d.close()
})
