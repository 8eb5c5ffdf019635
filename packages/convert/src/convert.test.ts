import { reference } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { device, fixture, logits, someIds, worst } from '../test/fixture.ts'
import { type ConvertOptions, convert, convertAll, meanError, type Plan } from './index.ts'

const all = (to: string, method?: string, more = {}): Plan => ({ layers: [{ layers: 'all', to, method, ...more }] })
const calibrated: ConvertOptions = { device, calibration: someIds(96), heldOut: someIds(48).reverse(), window: 32 }

describe('exact conversions', () => {
  it.each([
    ['llama-gqa-tied', 'mha', {}],
    ['llama3-rope-mqa', 'mha', {}],
    ['llama3-rope-mqa', 'gqa', { kvHeads: 2 }],
  ])('%s to %s keep the logits and every weight they can', async (name, to, config) => {
    const { model, ids } = await fixture(name)
    const { model: made, report } = await convert(model, all(to, undefined, { config }))
    expect(worst(await logits(made, ids), await logits(model, ids))).toBeLessThan(1e-4)
    expect(report.exactness).toBe('exact')
    expect(report.layers.map(l => l.path)).toEqual([['repeat'], ['repeat'], ['repeat']])
    for (const path of ['embed', 'layers.0.mlp.up', 'layers.1.attention.q', 'layers.2.attention.o'])
      expect(made.values.get(path)!.weight).toBe(model.values.get(path)!.weight)
  })
  it('widened heads are narrowed to the same logits', async () => {
    const { model, ids } = await fixture('llama-gqa-tied')
    const wide = (await convert(model, all('mha'))).model
    const back = (await convert(wide, all('gqa', 'mean', { config: { kvHeads: 2 } }))).model
    expect(worst(await logits(back, ids), await logits(model, ids))).toBeLessThan(1e-4)
  })
})

describe('calibrated conversions', () => {
  it('order by class of method, on grouped heads and on biased ones', async () => {
    for (const name of ['llama-gqa-tied', 'llama-untied-bias']) {
      const { model } = await fixture(name)
      const methods = ['least-squares', 'aligned', 'mean']
      const made = await convertAll(
        model,
        methods.map(m => all('mqa', m)),
        calibrated,
      )
      const errors = made.map(c => meanError(c.report)!)
      expect(errors[0]).toBeLessThan(errors[1])
      expect(errors[1]).toBeLessThan(errors[2])
      for (const [i, layer] of made[0].report.layers.entries()) {
        expect(layer.error).toBeGreaterThan(0)
        expect(layer.error).toBeLessThan(made[1].report.layers[i].error!)
        expect(layer.figures.droppedValueEnergy).toBeGreaterThan(0)
      }
      const { before, after } = made[0].report.kvBytesPerToken
      expect(before / after).toBe(name === 'llama-gqa-tied' ? 2 : 4)
    }
  })
  it('fit the output projection, also where heads are wider than the model, and gain by it', async () => {
    const one = (method: string, fit?: 'output' | 'none'): Plan => ({ layers: [{ layers: '0', to: 'mqa', method, fit }] })
    for (const name of ['llama-gqa-tied', 'llama-untied-bias']) {
      const { model } = await fixture(name)
      const [none, output, onTop] = await convertAll(model, [one('least-squares', 'none'), one('least-squares'), one('mean', 'output')], {
        ...calibrated,
        calibration: someIds(320),
        heldOut: someIds(320),
      })
      expect(meanError(output.report)).toBeLessThan(meanError(none.report)!)
      expect(output.report.layers[0].path).toEqual(['least-squares', 'fit output'])
      expect(none.report.layers[0].path).toEqual(['least-squares'])
      for (const { figures } of [...output.report.layers, ...onTop.report.layers]) {
        expect(figures.outputFitStep).toBeGreaterThanOrEqual(0)
        expect(figures.outputFitStep).toBeLessThanOrEqual(1)
      }
    }
  })
  it('measure nothing for a layer that stays what it was', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const { report } = await convert(model, all('mha'), { device, heldOut: someIds(20) })
    expect(report.layers.every(l => l.error! < 1e-6)).toBe(true)
  })
  it('convert some layers only, each as it would be alone, in one walk or in several', async () => {
    const { model, ids } = await fixture('llama-gqa-tied')
    const plan: Plan = { layers: [{ layers: [0, 2], to: 'mqa', method: 'least-squares' }] }
    const one = (await convert(model, plan, calibrated)).model
    const [other, whole] = await convertAll(model, [plan, all('mqa', 'least-squares')], calibrated)
    expect(await logits(one, ids)).toEqual(await logits(other.model, ids))
    expect(one.spec.layers.map(l => l.attention.variant)).toEqual(['mqa', 'gqa', 'mqa'])
    expect(await one.values.get('layers.2.attention.k')!.weight.bytes()).toEqual(
      await whole.model.values.get('layers.2.attention.k')!.weight.bytes(),
    )
  })
  it('follow the converted stream where asked', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const key = async (sequential: boolean) =>
      (await convert(model, all('mqa', 'least-squares'), { ...calibrated, sequential })).model.values
        .get('layers.2.attention.k')!
        .weight.bytes()
    expect(await key(true)).not.toEqual(await key(false))
  })
  it('leave the device as it was', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const own = reference()
    await convert(model, all('mqa', 'least-squares'), { ...calibrated, device: own })
    expect([...model.values].filter(([, v]) => v.weight.isOn(own)).map(([path]) => path)).toEqual([])
  })
  it('stop when aborted', async () => {
    const { model } = await fixture('llama-gqa-tied')
    const abort = new AbortController()
    const onProgress = ({ layer }: { layer: number }) => layer === 1 && abort.abort()
    await expect(
      convert(model, all('mqa', 'aligned'), { ...calibrated, signal: abort.signal, onProgress: onProgress as never }),
    ).rejects.toThrow(expect.objectContaining({ code: 'ERR_ABORTED' }))
  })
})

describe('refusals', () => {
  const refuse = async (plan: unknown, message: RegExp, options: ConvertOptions = {}) => {
    const { model } = await fixture('llama-gqa-tied')
    await expect(convert(model, plan as Plan, options)).rejects.toThrow(message)
  }
  it('name what is wrong with a plan', async () => {
    await refuse({ layers: [] }, /plan\.layers must be/)
    await refuse({ layers: [{ layers: '0-3', to: 'mha' }] }, /plan\.layers\[0\]\.layers names layer 3; the model has layers 0 to 2/)
    await refuse({ layers: [{ layers: '0..1', to: 'mha' }] }, /'all' or numbers and ranges/)
    await refuse(
      {
        layers: [
          { layers: '0', to: 'mha' },
          { layers: [0], to: 'mqa' },
        ],
      },
      /layers\[1\] names layer 0 a second time/,
    )
    await refuse({ layers: [{ layers: '0', to: 'mha', kvHeads: 1 }] }, /layers\[0\] has a key 'kvHeads'/)
    await refuse(all('mha', 'repeat', { fit: 'all' }), /layers\[0\]\.fit must be 'output' or 'none'/)
    await refuse(all('nsa'), /'nsa' is not among mha, mqa, gqa/)
    await refuse(all('mqa', 'svd'), /no bridge leads from gqa to mqa by svd \(there are .*mean/)
    await refuse(all('mqa', 'repeat'), /layer 0: gqa cannot become mqa\. repeat: target key head 0/)
    await refuse(all('gqa', 'mean'), /needs kvHeads/)
    await refuse(all('mqa', 'least-squares'), /needs calibration tokens/)
    await refuse(all('mqa', 'least-squares'), /needs a device/, { calibration: someIds(20) })
    await refuse(all('mqa', 'least-squares', { options: { ridge: 1 } }), /no option 'ridge'/, calibrated)
  })
})
