import { allLogits } from '@attune/models'
import { bits, eachLogits, rows } from '../logits.mjs'
import { oracle } from '../oracle.mjs'

/** The same bits for every number of threads and for every companion. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const { chat, medium300, short } = oracle('golden.json.gz').prompts
  for (const weights of /** @type {const} */ (['f32', 'as-stored'])) {
    const own = []
    for (const threads of [1, 2]) {
      const model = await lab.load({ weights, threads })
      own.push(await alone(model.runner, medium300.input_ids))
      if (threads === 2) await companions(t, weights, model, [short.input_ids, medium300.input_ids.slice(0, 90), chat.input_ids])
      await model.dispose()
    }
    t.equal(`${weights}: 300 logits and 4 decode steps, 1 and 2 threads`, own[1].join(), own[0].join())
    t.samples[`${weights} bits`] = own
  }
}

/** Bits of a prompt's logits and of four more tokens, one at a time. @param {import('@attune/models').Runner} runner @param {number[]} ids */
async function alone(runner, ids) {
  /** @type {string[]} */
  const all = []
  await eachLogits(runner, ids, row => all.push(bits([row])), [ids.length - 4, 1, 1, 1, 1])
  return [bits([Buffer.from(all.slice(0, -4).join())]), ...all.slice(-4)]
}

/**
 * Sequences of unequal length, each alone in a runner of its own and then together in one step, then one decode step.
 * @param {import('../report.mjs').Report} t @param {string} weights @param {import('../lab.mjs').Loaded} model @param {number[][]} prompts
 */
async function companions(t, weights, model, prompts) {
  const { runner } = model
  /** @type {string[][]} */
  const single = []
  for (const ids of prompts) {
    const hashes = /** @type {string[]} */ ([])
    await eachLogits(runner, ids, row => hashes.push(bits([row])), [ids.length - 1, 1])
    single.push(hashes)
  }
  const sequences = prompts.map(() => runner.open())
  /** @type {string[][]} */
  const together = prompts.map(() => [])
  const cuts = [(/** @type {number[]} */ ids) => ids.slice(0, -1), (/** @type {number[]} */ ids) => ids.slice(-1)]
  for (const cut of cuts)
    await runner.turn(
      prompts.map((ids, i) => ({ sequence: sequences[i], ids: cut(ids) })),
      allLogits,
      async r => {
        const { data, shape } = await r.read('logits')
        let at = 0
        for (const [i, ids] of prompts.entries()) {
          const n = cut(ids).length
          rows({ dtype: 'f32', data: data.subarray(at * shape[1]), shape: [n, shape[1]] }, 0, n, row => together[i].push(bits([row])))
          at += n
        }
      },
    )
  for (const s of sequences) runner.close(s)
  const differ = prompts.map((_, i) => single[i].filter((h, k) => h !== together[i][k]).length)
  t.equal(
    `${weights}: rows that change in a batch of unequal lengths`,
    differ.reduce((a, b) => a + b, 0),
    0,
  )
  t.samples[`${weights} companions`] = { lengths: prompts.map(p => p.length), differ }
}
