import { allLogits, Runner } from '@attune/models'
import { eachLogits, largestDifference, rows } from '../logits.mjs'
import { oracle } from '../oracle.mjs'

/** Summation order differs between sizes of steps; logits are up to 30, the float32 noise of the oracle itself is 3e-5. */
const tolerance = 5e-4

/** However a prompt is fed, the logits are the same. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const { medium300 } = oracle('golden.json.gz').prompts
  const ids = medium300.input_ids
  for (const weights of /** @type {const} */ (['f32', 'as-stored'])) {
    const { runner: small, model, device, ...loaded } = await parts(lab, weights)
    const runner = new Runner(model, device, { chunk: 512 })
    const whole = await kept(runner, ids, [300])
    // Packed weights meet activations rounded to 8 bits: where a sum differs in its last bit, a rounding may go the other way.
    const most = weights === 'f32' ? tolerance : 0.25
    for (const [name, sizes] of /** @type {[string, number[]][]} */ ([
      ['pieces of 64', [64, 64, 64, 64, 44]],
      ['uneven pieces', [1, 130, 7, 100, 62]],
      ['token by token', new Array(300).fill(1)],
    ]))
      t.atMost(`${weights}: ${name} against one shot`, worst(whole, await kept(runner, ids, sizes)), most)
    t.atMost(`${weights}: left-padded in a batch against alone`, await padded(small, ids, whole), most)
    await runner.dispose()
    await loaded.dispose()
  }
}

/** @param {import('../lab.mjs').Lab} lab @param {'f32' | 'as-stored'} weights */
async function parts(lab, weights) {
  const loaded = await lab.load({ weights })
  return { runner: loaded.runner, model: loaded.model, device: loaded.device, dispose: () => loaded.dispose() }
}

/** Every logit of positions 0, 7, 14 … @param {Runner} runner @param {number[]} ids @param {number[]} sizes */
async function kept(runner, ids, sizes) {
  /** @type {Map<number, Float32Array>} */
  const found = new Map()
  await eachLogits(runner, ids, (row, at) => at % 7 === 0 && found.set(at, row.slice()), sizes)
  return found
}

/** @param {Map<number, Float32Array>} a @param {Map<number, Float32Array>} b */
const worst = (a, b) => Math.max(...[...a].map(([at, row]) => largestDifference(row, /** @type {Float32Array} */ (b.get(at)))))

/**
 * Two rows of a padded batch: padding on the left is not fed, positions start where transformers' would (0 at the first real token),
 * shifted positions must not matter to rotary embeddings.
 * @param {Runner} runner @param {number[]} ids @param {Map<number, Float32Array>} whole
 */
async function padded(runner, ids, whole) {
  const lengths = [120, 50]
  const sequences = lengths.map(() => runner.open())
  let most = 0
  await runner.turn(
    lengths.map((n, i) => ({ sequence: sequences[i], ids: ids.slice(0, n), positions: Array.from({ length: n }, (_, k) => k + 120 - n) })),
    allLogits,
    async r => {
      const { data, shape } = await r.read('logits')
      let at = 0
      for (const n of lengths) {
        rows({ dtype: 'f32', data: data.subarray(at * shape[1]), shape: [n, shape[1]] }, 0, n, (row, k) => {
          const want = whole.get(k)
          if (want) most = Math.max(most, largestDifference(row, want))
        })
        at += n
      }
    },
  )
  for (const s of sequences) runner.close(s)
  return most
}
