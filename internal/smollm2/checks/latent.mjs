import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { convertAll } from '@attune/convert'
import { perplexity, twin } from '@attune/evaluate'
import { Runner, releaseWeights } from '@attune/models'
import { root } from '../../lib/workspace.mjs'
import { curve } from '../curve.mjs'
import { oracle } from '../oracle.mjs'

/** Frequencies × 2 of SmolLM2's heads, of which there are 3 for keys: all keys rotated is 192, all values and keys are 384 numbers. */
const HEAD = 64
const METHODS = {
  complex: { method: 'transmla' },
  real: { method: 'transmla', options: { rope: 'real' } },
  mha2mla: { method: 'mha2mla', options: { pairs: '2-norm' } },
}
/** Rotated numbers and latent of the points of each curve. @type {Record<keyof typeof METHODS, [ropeDim: number, latent: number][]>} */
const POINTS = {
  complex: [[192, 192], [192, 128], [192, 64], [128, 256], [128, 128], [64, 320], [64, 192], [64, 128], [64, 64], [32, 96]], // biome-ignore format: one table
  real: [[128, 256], [128, 128], [64, 320], [64, 192], [64, 64]], // biome-ignore format: one table
  mha2mla: [[96, 288], [96, 160], [48, 336], [48, 208], [48, 80]], // biome-ignore format: one table
}

/**
 * @typedef {{ name: string, ropeDim?: number, latent?: number, kvBytesPerToken: number, meanKl: number, maxLogitDifference: number,
 *   topAgreement: number, perplexity: number, layers: Readonly<Record<string, number>>[] }} Result
 */

/** SmolLM2 as latent attention: nothing changes at full rank; what less costs. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const source = await lab.load()
  const { device, model } = source
  const { input_ids } = oracle('perplexity.json.gz')
  const [calibration, text] = [input_ids.slice(0, 2048), input_ids.slice(3584, 4096)]
  /** @param {object} method @param {Record<string, unknown>} config @returns {import('@attune/convert').Plan} */
  const plan = (method, config) => ({ layers: [{ layers: 'all', to: 'mla', fit: /** @type {const} */ ('none'), ...method, config }] }) // biome-ignore format: one line
  /** @type {{ name: string, plan: import('@attune/convert').Plan, ropeDim?: number, latent?: number }[]} */
  const asked = [
    { name: 'full', plan: plan(METHODS.complex, {}) },
    { name: 'full, materialised', plan: plan(METHODS.complex, { mode: 'materialised' }) },
    { name: 'full, query latent', plan: plan(METHODS.complex, { queryLatent: 576 }) },
    { name: 'full, mha2mla', plan: plan(METHODS.mha2mla, {}) },
    { name: 'normed', plan: plan(METHODS.complex, { ropeDim: HEAD, latent: 193, latentNorm: true }) },
    { name: 'gain', plan: plan({ ...METHODS.complex, options: { norm: 'gain' } }, { ropeDim: HEAD, latent: 192, latentNorm: true }) },
    ...Object.entries(POINTS).flatMap(([name, points]) =>
      points.map(([ropeDim, latent]) => ({
        ...{ name, ropeDim, latent },
        plan: plan(METHODS[/** @type {keyof typeof METHODS} */ (name)], { ropeDim, latent }),
      })),
    ),
  ]
  const made = await convertAll(model, asked.map(a => a.plan), { device, calibration, window: 512 }) // biome-ignore format: one line
  /** @type {Result[]} */
  const results = []
  for (const [i, { model: other, report }] of made.entries()) {
    const runner = new Runner(other, device, { chunk: 512 })
    const { meanKl, maxLogitDifference, topAgreement } = await twin(source.runner, runner, text)
    const { perplexity: ppl } = await perplexity(runner, text)
    await runner.dispose()
    await releaseWeights(other, device, [model])
    const { plan: _, ...about } = asked[i]
    results.push({
      ...about,
      kvBytesPerToken: report.kvBytesPerToken.after,
      ...{ meanKl, maxLogitDifference, topAgreement, perplexity: ppl },
      layers: report.layers.map(l => l.figures),
    })
    t.note(
      `${about.name}${'latent' in about ? ` ${about.ropeDim} + ${about.latent}` : ''}`,
      `${report.kvBytesPerToken.after} bytes, KL ${meanKl.toExponential(2)}, perplexity ${ppl.toFixed(2)}`,
    )
  }
  const find = (/** @type {string} */ name, ropeDim = 0, latent = 0) =>
    /** @type {(typeof results)[number]} */ (
      results.find(r => r.name === name && (ropeDim === 0 || (r.ropeDim === ropeDim && r.latent === latent)))
    )
  for (const r of results.filter(r => r.name.startsWith('full')))
    t.atMost(`${r.name}: largest logit difference`, r.maxLogitDifference, 1e-3)
  const energies = results.filter(r => r.name === 'complex' && /** @type {number} */ (r.ropeDim) < 3 * HEAD)
  const less = energies.flatMap(r => r.layers.filter(f => f.ropeEnergyComplex < f.ropeEnergyReal))
  t.equal('layers where complex mixing keeps less rotated energy than real', less.length, 0)
  for (const r of energies.slice(-3, -2)) {
    const mean = (/** @type {string} */ key) => r.layers.reduce((n, f) => n + f[key], 0) / r.layers.length
    t.note(`${r.ropeDim} rotated numbers hold, complex`, 100 * mean('ropeEnergyComplex'), ' % of the energy')
    t.note(`${r.ropeDim} rotated numbers hold, real`, 100 * mean('ropeEnergyReal'), ' % of the energy')
  }
  const [plain, normed, gain] = [find('complex', HEAD, 192), find('normed'), find('gain')]
  t.atMost('further KL by the norm of the latent, constant channel', Math.abs(normed.meanKl - plain.meanKl), 1e-4, ' nats')
  t.note('further KL by the norm of the latent, constant gain', gain.meanKl - plain.meanKl, ' nats')
  const { perplexity: own } = await perplexity(source.runner, text)
  t.note('perplexity of the source', own)
  t.samples.source = { perplexity: own, kvBytesPerToken: made[0].report.kvBytesPerToken.before }
  t.samples.points = results
  writeFileSync(join(root, 'internal/bench/results/smollm2-latent.svg'), curve(results, { perplexity: own, kvBytesPerToken: made[0].report.kvBytesPerToken.before })) // biome-ignore format: one line
  await source.dispose()
}
