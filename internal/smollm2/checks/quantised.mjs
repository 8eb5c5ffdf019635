import { contiguous, quantised } from '@attune/cache'
import { q8_0 } from '@attune/tensor'
import { oracle } from '../oracle.mjs'

/** Tokens of a prompt for which bytes are counted. */
const PROMPT = 1500

/** What keys and values in few bits cost: perplexity on two windows of 2,048 tokens, bits a value at 1,500 tokens. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const { input_ids } = oracle('perplexity.json.gz')
  /** @param {string} name @param {import('@attune/kit').LoadModelOptions} options */
  const measure = async (name, options) => {
    const model = await lab.load(options)
    const { perplexity } = await model.perplexity(input_ids, { window: 2048 })
    const values = model.model.spec.layers.length * 2 * 3 * 64
    const { runner } = await lab.load(options)
    const sequence = runner.open()
    await runner.feed(sequence, input_ids.slice(0, PROMPT), { key: 'none', build: () => ({ outputs: {} }) })
    const bits = (runner.cacheBytes * 8) / (values * PROMPT)
    await runner.dispose()
    await model.runner.dispose()
    t.samples[name] = { perplexity, bitsPerValue: bits }
    t.note(`${name}: perplexity`, perplexity)
    t.note(`${name}: bits a value at ${PROMPT} tokens, allocated`, bits)
    return { perplexity, bits }
  }
  const plain = await measure('f32', { cache: contiguous() })
  const more = (/** @type {{ perplexity: number }} */ x) => 100 * (x.perplexity / plain.perplexity - 1)
  const rows = await measure('q8_0 rows', { cache: contiguous(), kv: q8_0 })
  t.atMost('q8_0 rows: perplexity above f32', more(rows), 0.1, ' %')
  const int8 = await measure('int8', { cache: quantised({ bits: 8 }), kv: 'f16' })
  t.atMost('int8: perplexity above f32', more(int8), 0.1, ' %')
  const turned = await measure('int4 rotated', { cache: quantised(), kv: q8_0 })
  t.atMost('int4 rotated: perplexity above f32', more(turned), 1, ' %')
  t.atMost('int4 rotated: bits a value', turned.bits, 4.6)
  const straight = await measure('int4', { cache: quantised({ rotate: false }), kv: q8_0 })
  t.note('int4 without turns: perplexity above f32', more(straight), ' %')
}
