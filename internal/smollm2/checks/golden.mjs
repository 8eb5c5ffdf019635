import { hiddenStates } from '@attune/models'
import { eachLogits, statistics } from '../logits.mjs'
import { oracle } from '../oracle.mjs'

/** @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const model = await lab.load()
  const { prompts } = oracle('golden.json.gz')
  for (const p of Object.values(prompts)) {
    await logits(t, model, p)
    await greedy(t, model, p)
  }
  await hidden(t, model, prompts.short)
}

/** The 20 best logits of each listed position, and sums over all of them. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Loaded} model @param {any} p */
async function logits(t, model, p) {
  const worst = { logit: 0, logsumexp: 0, mean: 0, std: 0 }
  let seen = 0
  await eachLogits(model.runner, p.input_ids, (row, at) => {
    const i = p.positions.indexOf(at)
    if (i < 0) return
    seen++
    p.top_ids[i].forEach((/** @type {number} */ id, /** @type {number} */ k) => {
      worst.logit = Math.max(worst.logit, Math.abs(row[id] - p.top_logits[i][k]))
    })
    const s = statistics(row)
    worst.logsumexp = Math.max(worst.logsumexp, Math.abs(s.logSumExp - p.logsumexp[i]))
    worst.mean = Math.max(worst.mean, Math.abs(s.mean - p.logit_mean[i]))
    worst.std = Math.max(worst.std, Math.abs(s.std - p.logit_std[i]))
  })
  t.equal(`${p.name}: positions compared`, seen, p.positions.length)
  t.atMost(`${p.name}: largest logit difference`, worst.logit, 2e-3)
  t.atMost(`${p.name}: log-sum-exp, mean and std`, Math.max(worst.logsumexp, worst.mean, worst.std), 2e-3)
  t.samples[p.name] = worst
}

/** @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Loaded} model @param {any} p */
async function greedy(t, model, p) {
  const ids = []
  const session = model.session()
  for await (const piece of session.generate(p.input_ids, { maxTokens: p.greedy_ids.length, endIds: [] })) ids.push(piece.id)
  session.close()
  const close = p.greedy_top1_minus_top2.findIndex((/** @type {number} */ gap) => gap < 0.005)
  const compared = close < 0 ? p.greedy_ids.length : close
  let same = 0
  while (same < compared && ids[same] === p.greedy_ids[same]) same++
  t.equal(`${p.name}: greedy tokens equal${close < 0 ? '' : ` before the near-tie at ${close}`}`, same, compared)
}

/** @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Loaded} model @param {any} p */
async function hidden(t, model, p) {
  const { runner } = model
  const layers = model.model.spec.layers.length
  const names = { embeddings: 0, layer_0: 1, layer_15: 16, final_norm: layers }
  const sequence = runner.open()
  let worst = 0
  await runner.turn([{ sequence, ids: p.input_ids }], hiddenStates, async r => {
    for (const [name, i] of Object.entries(names)) {
      const { data, shape } = await r.read(`hidden.${i}`)
      p.hidden[name].forEach((/** @type {number[]} */ row, /** @type {number} */ at) => {
        row.forEach((x, d) => {
          worst = Math.max(worst, Math.abs(data[at * shape[1] + d] - x) / Math.max(1, Math.abs(x)))
        })
        const l2 = p.hidden.l2[name]?.[at]
        if (l2 === undefined) return
        const own = Math.hypot(...data.subarray(at * shape[1], (at + 1) * shape[1]))
        worst = Math.max(worst, Math.abs(own - l2) / l2)
      })
    }
  })
  runner.close(sequence)
  t.atMost(`${p.name}: residual stream, relative to max(1, |x|)`, worst, 2e-4)
}
