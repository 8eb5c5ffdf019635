import { oracle } from '../oracle.mjs'

/** Packed weights against the same weights as f32, over the eight windows of 512 tokens. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const { input_ids, windows_512 } = oracle('perplexity.json.gz')
  const f32 = await lab.load()
  const packed = await lab.load({ weights: 'as-stored' })
  let kl = 0
  let agree = 0
  const windows = []
  for (const [from, to] of windows_512.windows) {
    const r = await f32.twin(packed, input_ids.slice(from, to))
    kl += r.meanKl * r.tokens
    agree += r.topAgreement * r.tokens
    windows.push({ from, meanKl: r.meanKl, maxKl: r.maxKl, topAgreement: r.topAgreement, maxLogitDifference: r.maxLogitDifference })
  }
  t.atMost('mean KL(f32 ‖ packed)', kl / input_ids.length, 0.01, ' nats')
  t.atLeast('same best token', (100 * agree) / input_ids.length, 97, ' %')
  const a = await f32.perplexity(input_ids, { window: 512 })
  const b = await packed.perplexity(input_ids, { window: 512 })
  t.atMost('perplexity against f32', 100 * Math.abs(b.perplexity / a.perplexity - 1), 0.5, ' %')
  t.note('perplexity, f32', a.perplexity)
  t.note('perplexity, packed', b.perplexity)
  t.samples.windows = windows
}
