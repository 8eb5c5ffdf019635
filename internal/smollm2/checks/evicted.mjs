import { evicting, paged, quantised } from '@attune/cache'
import { adaKv, snapKv } from '@attune/cache/policies'
import { lastLogits, noOutput, Runner } from '@attune/models'
import { q8_0 } from '@attune/tensor'
import { oracle } from '../oracle.mjs'

/** Tokens that follow the prompt, one at a time. */
const FOLLOWING = 64

/** A policy that watches attention, over keys and values in int4: a quarter of a prompt's rows, packed in groups of each key head. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const ids = oracle('golden.json.gz').prompts.long1500.input_ids
  const [prompt, rest] = [ids.slice(0, -FOLLOWING), ids.slice(-FOLLOWING)]
  const { model, device } = await lab.load({ weights: 'as-stored' })
  const whole = prompt.length * 2 * 3 * 64 * model.spec.layers.length * 2
  /** @param {import('@attune/cache').CacheManager} cache @param {import('@attune/tensor').Storage} kv */
  const run = async (cache, kv) => {
    const runner = new Runner(model, device, { cache, kv })
    const sequence = runner.open()
    await runner.feed(sequence, prompt, noOutput, undefined, { settle: true })
    const bytes = runner.cacheBytes
    const chances = []
    for (const id of rest) {
      const { data } = await (await runner.step([{ sequence, ids: [id] }], lastLogits)).read('logits')
      chances.push(logSoftmax(data))
    }
    await runner.dispose()
    return { chances, ofWhole: bytes / whole }
  }
  const want = await run(paged(), 'f32')
  /** @param {string} name @param {import('@attune/cache').CacheManager} cache @param {import('@attune/tensor').Storage} kv */
  const measure = async (name, cache, kv) => {
    const { chances, ofWhole } = await run(cache, kv)
    const kl = chances.reduce((n, own, i) => n + divergence(want.chances[i], own), 0) / chances.length
    t.samples[name] = { kl, ofWhole }
    t.note(`${name}: KL to the whole cache in f32`, kl, ' nats')
    t.note(`${name}: bytes allocated, of the whole cache in f16`, 100 * ofWhole, ' %')
    return { kl, ofWhole }
  }
  for (const policy of [snapKv(), adaKv()]) {
    const kept = await measure(`${policy.name}, a quarter, f16`, evicting(policy, { rows: 0.25 }), 'f16')
    const packed = await measure(`${policy.name}, a quarter, int4`, evicting(policy, { rows: 0.25 }, { packed: {} }), q8_0)
    t.atMost(`${policy.name}: bytes of int4, of those of f16`, (100 * packed.ofWhole) / kept.ofWhole, 40, ' %')
    t.atMost(`${policy.name}: KL that int4 adds`, packed.kl - kept.kl, 0.02, ' nats')
  }
  await measure('int4, every row', quantised(), q8_0)
}

/** @param {ArrayLike<number>} x */
function logSoftmax(x) {
  const all = Float64Array.from(x)
  const top = all.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  const norm = top + Math.log(all.reduce((n, v) => n + Math.exp(v - top), 0))
  return all.map(v => v - norm)
}
/** @param {Float64Array} p @param {Float64Array} q */
const divergence = (p, q) => p.reduce((n, x, i) => n + Math.exp(x) * (x - q[i]), 0)
