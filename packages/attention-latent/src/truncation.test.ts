import type { BridgeInput } from '@attune/attention'
import { gqa } from '@attune/attention-heads'
import { cpu } from '@attune/backend-cpu'
import type { ParamValues } from '@attune/nn'
import { type PositionSpec, ropeFrequencies } from '@attune/position'
import { Constant, read, tensor } from '@attune/tensor'
import { layerAlone, nmse, randomSource, tinyModel } from '@attune/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { mlaBridges } from './bridges.ts'
import { type MlaConfig, mla } from './mla.ts'
import { pickedPosition } from './positions.ts'

const device = cpu({ threads: 1 })
afterAll(async () => (await device).close())
const source = { dim: 24, heads: 6, kvHeads: 3, headDim: 8, bias: true }
const rope: PositionSpec = { kind: 'rope', dims: 8, theta: 100, pairing: 'half', maxPositions: 512 }
const tokens = 200
const params = new Map([...tinyModel(gqa, source).values].flatMap(([k, v]) => (k.startsWith('layers.0.attention.') ? [[k.slice(19), v]] : []))) as ParamValues // biome-ignore format: one line

/** Inputs with a mean and few strong directions, as layers have. */
function inputs(seed: number): Float32Array {
  const r = randomSource(seed)
  return Float32Array.from({ length: tokens * 24 }, (_, i) => 0.1 * ((i % 5) - 2) + r.normal() * (1 / (1 + (i % 24))))
}
function gramOf(x: Float32Array): Float64Array {
  const out = new Float64Array(25 * 25)
  for (let t = 0; t < tokens; t++) {
    const y = [...x.subarray(t * 24, (t + 1) * 24), 1]
    y.forEach((a, i) => y.forEach((b, j) => void (out[i * 25 + j] += a * b)))
  }
  return out
}
const calibration = { gram: gramOf(inputs(1)), tokens }
const bridgeOf = (name: string) => mlaBridges.find(b => b.name === name && b.from === 'gqa')!

async function convert(name: string, wish: Partial<MlaConfig>, options?: BridgeInput['options'], position: PositionSpec = rope) {
  const b = bridgeOf(name)
  const rotary = position.kind === 'rope' ? { dims: position.dims, pairing: position.pairing } : undefined
  const to = b.config(source, wish, { rotary }) as MlaConfig
  let placed = position
  const figures: Record<string, number> = {}
  const made = await b.params({
    ...{ from: source, to, params, rotary, position, calibration, seed: 1, options },
    report: f => Object.assign(figures, f),
    place: p => {
      placed = p
    },
  })
  const x = tensor(inputs(2), [tokens, 24])
  const want = (await read(layerAlone(gqa, source, params, x, { position }), await device)).data
  const have = (await read(layerAlone(mla, { ...to }, made, x, { position: placed }), await device)).data
  return { out: have, error: nmse(have, want), figures, placed, to, made }
}

describe('transmla', () => {
  it('loses less with more numbers remembered, nothing with all', async () => {
    const errors: number[] = []
    for (const [ropeDim, latent] of [[8, 8], [8, 20], [16, 20], [24, 16], [24, 24]]) errors.push((await convert('transmla', { ropeDim, latent })).error) // biome-ignore format: one line
    for (const [i, e] of errors.slice(1).entries()) expect(e, errors.join(' ')).toBeLessThan(errors[i])
    expect(errors.at(-1)).toBeLessThan(1e-10)
  })
  it('keeps more energy rotated by complex mixing than by real', async () => {
    for (const ropeDim of [8, 16]) {
      const complex = await convert('transmla', { ropeDim })
      const real = await convert('transmla', { ropeDim }, { rope: 'real' })
      expect(complex.figures.ropeEnergyComplex).toBeGreaterThan(complex.figures.ropeEnergyReal)
      expect(real.figures).toMatchObject({ ropeEnergyReal: complex.figures.ropeEnergyReal })
      expect(complex.error).toBeLessThan(real.error)
    }
  })
  it('folds frequencies into one rotated key of half the width, at the frequencies such a key has', async () => {
    const { placed, figures, error } = await convert('transmla', { ropeDim: 4 })
    expect(placed).toEqual({ ...rope, dims: 4, pairing: 'interleaved' })
    expect(figures.ropeEnergyComplex).toBeLessThan(1)
    expect(error).toBeLessThan(1)
    const wide = await convert('transmla', { ropeDim: 4 }, { freqfold: 4 })
    expect(wide.figures.ropeEnergyComplex).toBeGreaterThan(figures.ropeEnergyComplex)
    expect(wide.placed).toEqual(placed)
  })
  it('folds as many frequencies as leave most of the keys turning as they did, when asked', async () => {
    const slow: PositionSpec = { ...rope, theta: 1.5 }
    for (const [ropeDim, position] of [
      [8, rope],
      [4, rope],
      [2, rope],
      [8, slow],
      [4, slow],
      [12, slow],
    ] as const) {
      const folds: Awaited<ReturnType<typeof convert>>[] = []
      for (const freqfold of [1, 2, 4]) if (ropeDim % (8 / freqfold) === 0) folds.push(await convert('transmla', { ropeDim }, { freqfold }, position)) // biome-ignore format: one line
      const own = await convert('transmla', { ropeDim }, { freqfold: 'auto' }, position)
      const faithful = folds.map(f => f.figures.ropeFaithful)
      expect(own.figures.ropeFaithful).toBe(Math.max(...faithful))
      expect(own.figures.freqfold).toBe(folds[faithful.indexOf(Math.max(...faithful))].figures.freqfold)
      expect(own.figures.ropeFaithful).toBeLessThanOrEqual(1)
      // It is the best of them, or near it.
      expect(own.error).toBeLessThan(1.15 * Math.min(...folds.map(f => f.error)))
    }
    // Nothing is lost where every key stays rotated, and energy alone would not say so.
    const whole = await convert('transmla', { ropeDim: 24 }, { freqfold: 'auto' })
    expect(whole.figures).toMatchObject({ freqfold: 1, ropeFaithful: expect.closeTo(1, 9) })
    expect(whole.error).toBeLessThan(1e-10)
  })
  it('gives the latent a channel beside which a norm changes next to nothing', async () => {
    const plain = await convert('transmla', { ropeDim: 8, latent: 20 })
    const normed = await convert('transmla', { ropeDim: 8, latent: 21, latentNorm: true })
    const gain = await convert('transmla', { ropeDim: 8, latent: 20, latentNorm: true }, { norm: 'gain' })
    expect(nmse(normed.out, plain.out)).toBeLessThan(1e-9)
    expect(nmse(gain.out, plain.out)).toBeGreaterThan(1e-3)
    const bias = new Float32Array((await normed.made.get('kva')!.bias!.bytes()).buffer)
    expect(bias[20]).toBeGreaterThan(100)
  })
  it('balances keys and values', async () => {
    const balanced = await convert('transmla', { ropeDim: 8, latent: 12 })
    const other = await convert('transmla', { ropeDim: 8, latent: 12 }, { balance: false })
    expect(balanced.error).not.toBe(other.error)
    expect(balanced.figures.latentEnergy).toBeLessThan(1)
  })
  it("keeps what YaRN multiplies rotated keys by where they turn no more: with positions that do not turn, every split is the source's", async () => {
    const beta = 16 / (2 * Math.PI)
    const scaling = {
      type: 'yarn',
      factor: 1e9,
      beta_fast: beta,
      beta_slow: beta,
      attention_factor: 1.3,
      original_max_position_embeddings: 16,
    }
    const still: PositionSpec = { ...rope, scaling, picked: { of: 8, pairs: [1, 2, 3, 3] } }
    expect(Math.max(...ropeFrequencies(still, 1).values)).toBeLessThan(1e-6)
    for (const ropeDim of [8, 16, 24]) expect((await convert('transmla', { ropeDim }, {}, still)).error).toBeLessThan(1e-7)
  })
})

describe('mha2mla', () => {
  it('loses less with more pairs rotated and a wider latent, nothing with all', async () => {
    for (const options of [{}, { pairs: 'low' }, { pairs: 'uniform', svd: 'split' }, { pairs: '2-norm', of: 'outputs' }]) {
      const few = await convert('mha2mla', { ropeDim: 12, latent: 12 }, options)
      const more = await convert('mha2mla', { ropeDim: 12 }, options)
      const all = await convert('mha2mla', { ropeDim: 24 }, options)
      expect(more.error, JSON.stringify(options)).toBeLessThan(few.error)
      expect(all.error).toBeLessThan(1e-10)
      expect(few.to).toMatchObject({ nopeDim: 4, ropeDim: 12, latent: 12 })
    }
  })
  it('turns the pairs it keeps by their own frequencies', async () => {
    const picked = async (pairs: string) => (await convert('mha2mla', { ropeDim: 12 }, { pairs })).placed
    expect(await picked('high')).toMatchObject({ dims: 12, picked: { of: 8, pairs: [0, 1, 0, 1, 0, 1] } })
    expect(await picked('low')).toMatchObject({ picked: { of: 8, pairs: [2, 3, 2, 3, 2, 3] } })
    expect(await picked('uniform')).toMatchObject({ picked: { of: 8, pairs: [0, 2, 0, 2, 0, 2] } })
  })
  it('takes what matters on calibration tokens over what lies in the weights', async () => {
    const weights = await convert('mha2mla', { ropeDim: 24, latent: 8 })
    const outputs = await convert('mha2mla', { ropeDim: 24, latent: 8 }, { of: 'outputs' })
    expect(outputs.error).toBeLessThan(weights.error)
  })
})

describe('refusals', () => {
  const why = (name: string, wish: object, more: Partial<BridgeInput> = {}) => {
    const b = bridgeOf(name)
    const from = more.from ?? source
    return b.why!({ from, to: b.config(from, wish, { rotary: { dims: 8, pairing: 'half' } }), params, rotary: { dims: 8, pairing: 'half' }, position: rope, ...more }) // biome-ignore format: one line
  }
  it.each(['transmla', 'mha2mla'])('of %s name what acts on keys beside the projections', name => {
    expect(why(name, {})).toBeUndefined()
    const gain = { weight: new Constant('f32', [8], new Uint8Array(32)) }
    expect(why(name, {}, { params: new Map([...params, ['kNorm', gain]]) })).toMatch(/'kNorm' acts on the heads/)
    expect(why(name, {}, { from: { ...source, qkNorm: { kind: 'rms', eps: 1e-6 } } })).toMatch(/'qkNorm' in its config/)
    expect(why(name, { ropeDim: 10 })).toMatch(/ropeDim must be a multiple of/)
    expect(why(name, { ropeDim: 48 })).toMatch(/ropeDim must be a multiple of . .*up to 24/)
    expect(why(name, { latent: 25 })).toMatch(/latent must be from 1 to 24/)
    expect(why(name, { latentNorm: true, latent: 1 })).toMatch(/latent must be from 2 to 25/)
    expect(why(name, { queryLatent: 49 })).toMatch(/queryLatent must be from 1 to 48/)
    expect(why(name, {}, { options: { ridge: 1 } })).toMatch(/no option 'ridge'/)
    expect(() => bridgeOf(name).config(source, { nopeDim: 3 })).toThrow(/cannot set nopeDim/)
  })
  it('name wrong options', () => {
    expect(why('transmla', {}, { options: { rope: 'both' } })).toMatch(/rope is "both", not one of "complex", "real"/)
    expect(why('transmla', {}, { options: { balance: -1 } })).toMatch(/false or a number above 0/)
    expect(why('transmla', {}, { options: { freqfold: 3 } })).toMatch(/freqfold 3 does not divide the 4 frequencies/)
    expect(why('transmla', {}, { options: { freqfold: 'auto' } })).toBeUndefined()
    expect(why('transmla', {}, { options: { freqfold: 'auto' }, position: undefined })).toMatch(/positions were not given/)
    expect(why('transmla', { ropeDim: 10 }, { options: { freqfold: 'auto' } })).toBeUndefined()
    expect(why('transmla', { ropeDim: 7 }, { options: { freqfold: 'auto' } })).toMatch(/got 7/)
    expect(why('transmla', {}, { options: { freqfold: 'some' } })).toMatch(/"auto" or a count/)
    expect(why('mha2mla', {}, { options: { pairs: 'best' } })).toMatch(/pairs is "best"/)
  })
  it('ask for calibration', async () => {
    const b = bridgeOf('transmla')
    await expect(
      b.params({ from: source, to: b.config(source, {}), params, rotary: { dims: 8, pairing: 'half' }, seed: 1 }),
    ).rejects.toThrow(/needs calibration/)
  })
})

describe('picked frequencies', () => {
  it('are said plainly where a head of their number has the same', () => {
    expect(pickedPosition(rope, [0, 1, 2, 3])).toEqual({ ...rope, pairing: 'interleaved' })
    expect(pickedPosition(rope, [0, 2])).toEqual({ ...rope, dims: 4, pairing: 'interleaved' })
    expect(pickedPosition(rope, [])).toEqual({ kind: 'none' })
    expect(pickedPosition(rope, [1, 3])).toMatchObject({ dims: 4, picked: { of: 8, pairs: [1, 3] } })
    const dynamic = { ...rope, scaling: { type: 'dynamic', factor: 2 } }
    expect(pickedPosition(dynamic, [0, 2])).toMatchObject({ picked: { of: 8, pairs: [0, 2] } })
  })
  it('of picked ones are the first ones', () => {
    const once = pickedPosition(rope, [3, 3, 1]) as Extract<PositionSpec, { kind: 'rope' }>
    expect(pickedPosition(once, [2, 0])).toMatchObject({ picked: { of: 8, pairs: [1, 3] } })
    expect([...ropeFrequencies(once, 1).values]).toEqual([3, 3, 1].map(i => ropeFrequencies(rope as never, 1).values[i]))
    expect(() => ropeFrequencies({ ...once, picked: { of: 8, pairs: [1, 4, 2] } }, 1)).toThrow(/number 4 of 4/)
  })
})
