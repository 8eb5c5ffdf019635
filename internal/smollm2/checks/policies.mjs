import { think } from '@attune/cache'
import * as policies from '@attune/cache/policies'
import { PolicyBench } from '../policy-bench.mjs'

/** @typedef {import('../policy-bench.mjs').Figures} Figures */

const BUDGET = 0.25
/** What the figures of a policy that does not beat a baseline come from. @type {Record<string, string>} */
const REASONS = {
  snapkv: 'of the rows before its window only what is read stays, and prose goes on from its latest rows',
  h2o: 'the budget goes to what the whole prompt reads, not to what the question at its end reads',
  tova: 'one query votes for all heads of a layer, and no latest rows are kept for their own sake',
  pyramidkv: 'late layers keep down to a twentieth of the mean; an even share, SnapKV, loses less',
  keydiff: 'keys are judged without queries, and no latest rows are kept for their own sake',
  knorm: 'keys are judged without queries; in the layers that retrieve, norms hardly follow weights (rank correlation near 0.1)',
}

/** Every policy on prompts of 1,500 tokens: at full budget nothing changes; at a quarter, how much. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const model = await lab.load()
  const bench = new PolicyBench(model, BUDGET)
  await bench.open()
  t.atLeast('no policy: recall of pass keys', bench.full.recall, 1)
  t.samples.full = bench.full
  const { adaKv, duoAttention, h2o, headKv, keyDiff, knorm, kvZip, observedAttention, pyramidKv, randomRows, snapKv, streamingLlm, tova } =
    policies
  const importance = await bench.gates()
  t.samples.gates = importance
  // Policies of a group observe the same, so they choose from one reading of each prompt.
  const groups = [
    [streamingLlm()],
    [randomRows({ seed: 1 }), randomRows({ seed: 2 }), randomRows({ seed: 3 }), duoAttention({ gates: importance })],
    [snapKv(), adaKv(), headKv({ importance })],
    [h2o(), observedAttention()],
    [tova()],
    [pyramidKv()],
    [keyDiff(), knorm()],
    [kvZip(bench.words)],
  ]
  /** @type {Map<string, Figures[]>} */
  const measured = new Map()
  for (const group of groups)
    for (const [i, figures] of (await bench.measure(group)).entries()) {
      const { name } = group[i]
      measured.set(name, [...(measured.get(name) ?? []), figures])
      console.log(name, JSON.stringify(figures))
    }
  const all = new Map([...measured].map(([name, list]) => [name, mean(list)]))
  for (const [name, figures] of all) {
    t.note(`${name}: KL to the whole cache`, figures.kl, ' nats')
    t.note(`${name}: recall of pass keys`, figures.recall)
    t.note(`${name}: log-probability of a digit`, figures.logprob, ' nats')
  }
  for (const [name, own] of all)
    for (const baseline of ['random', 'streaming-llm']) {
      if (['random', 'streaming-llm'].includes(name)) continue
      const other = /** @type {Figures} */ (all.get(baseline))
      const wins = own.kl < other.kl && own.recall > other.recall
      t.note(
        `${name}: beats ${baseline} on KL and recall`,
        wins ? 'yes' : `no: ${shortfall(own, other)} (${REASONS[name] ?? 'unexplained'})`,
      )
    }
  const channels = await bench.figures(think())
  t.note('think, half the channels of keys: KL to the whole cache', channels.kl, ' nats')
  t.note('think, half the channels of keys: recall of pass keys', channels.recall)
  t.samples.figures = { ...Object.fromEntries(all), think: channels }
  for (const policy of groups.flat()) {
    if (all.get(policy.name) === undefined) continue
    all.delete(policy.name)
    t.equal(`${policy.name}: full budget gives the bits of no policy`, await bench.whole(policy), true)
  }
  for (const policy of [snapKv(), adaKv(), duoAttention({ gates: importance })])
    t.atMost(`${policy.name}: bytes of the whole cache's`, 100 * (await bench.share(policy)), 100 * BUDGET * 1.25, ' %')
  await model.dispose()
}

/** @param {Figures} own @param {Figures} other */
const shortfall = (own, other) =>
  [
    own.kl < other.kl ? '' : `KL ${own.kl.toFixed(3)} against ${other.kl.toFixed(3)}`,
    own.recall > other.recall ? '' : `recall ${own.recall} against ${other.recall.toFixed(2)}`,
  ]
    .filter(Boolean)
    .join(', ')

/** @param {Figures[]} list @returns {Figures} */
function mean(list) {
  /** @param {keyof Figures} key */
  const of = key => list.reduce((n, x) => n + x[key], 0) / list.length
  return { kl: of('kl'), recall: of('recall'), logprob: of('logprob') }
}
