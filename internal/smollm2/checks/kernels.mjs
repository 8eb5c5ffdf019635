import { drawInputs, drawNext } from '@attune/generate'

/** Every op of a decode step with sampling has a kernel. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  for (const weights of /** @type {const} */ (['f32', 'as-stored'])) {
    const model = await lab.load({ weights })
    const { runner } = model
    const sequence = runner.open()
    const options = { temperature: 0.8, topK: 40, topP: 0.95, minP: 0.02, repetitionPenalty: 1.1, seed: 1 }
    const inputs = drawInputs(runner.batchRows, [{ row: sequence.row, options, past: [1], drawn: 0 }])
    const { choices, launches } = await runner.step([{ sequence, ids: [1] }], drawNext, { inputs })
    const without = choices.filter(c => c.by === 'compose' || c.by === 'loops')
    t.atLeast(`${weights}: ops with a kernel`, (100 * (choices.length - without.length)) / choices.length, 100, ' %')
    t.note(`${weights}: launches`, launches.length)
    for (const [op, why] of new Map(without.map(c => [c.op, c.refused.map(r => `${r.kernel}: ${r.why}`).join('; ')])))
      t.note(`${weights}: '${op}' is composed`, why || 'no kernel')
    t.samples[weights] = tally(choices.map(c => `${c.op} by ${c.by}`))
    await model.dispose()
  }
}

/** @param {string[]} names */
const tally = names => {
  /** @type {Record<string, number>} */
  const counts = {}
  for (const n of names) counts[n] = (counts[n] ?? 0) + 1
  return counts
}
