import { readFileSync } from 'node:fs'
import { gqa, mha, mqa } from '@attune/attention-heads'
import { llama, modelFrom, noOutput, Runner } from '@attune/models'
import { reference } from '@attune/tensor'
import { openCheckpoint } from '@attune/weights'
import { diskFolder } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { evicting } from '../paged.ts'
import type { EvictionPolicy, Kept, Observed } from '../policy.ts'
import {
  adaKv,
  duoAttention,
  h2o,
  headKv,
  keyDiff,
  knorm,
  kvZip,
  observedAttention,
  pyramidKv,
  snapKv,
  streamingLlm,
  tova,
} from './index.ts'

interface Case {
  readonly policy: string
  readonly budget: number
  readonly options: any
  readonly kept: number[][][]
  /** 0 or nearly: equal scores, of which either may stay. */
  readonly gap: number[][]
}
interface Oracle {
  readonly ids: number[]
  readonly cases: Case[]
  readonly rerotated: { budget: number; sinks: number; layer: number; head: number; every: number; keys: number[][] }
}
const oracle: Oracle = JSON.parse(readFileSync(new URL('../../test/kept-rows.json', import.meta.url), 'utf8'))
const folder = new URL('../../../models/test/fixtures/llama-gqa-tied', import.meta.url).pathname
const model = modelFrom(await openCheckpoint(await diskFolder(folder)), llama, new Map([mha, mqa, gqa].map(v => [v.name, v])))

/** As kvpress pools. */
const pooling = { kernel: 5, pool: 'mean' } as const
const policies: Record<string, (options: any) => EvictionPolicy> = {
  snapkv: options => snapKv({ ...pooling, ...options }),
  'observed-attention': observedAttention,
  tova,
  knorm,
  keydiff: keyDiff,
  'streaming-llm': streamingLlm,
  h2o,
  adakv: options => adaKv({ by: snapKv({ ...pooling, ...options }) }),
  pyramidkv: options => pyramidKv({ ...pooling, ...options }),
  headkv: options => headKv({ ...options, by: snapKv({ window: options.window, kernel: 7 }) }),
  'duo-attention': duoAttention,
  kvzip: kvZip,
}

/** What a policy saw and chose of the oracle's prompt. */
async function chosen(policy: EvictionPolicy, budget: number): Promise<{ observed: Observed; kept: Kept }> {
  let result: { observed: Observed; kept: Kept } | undefined
  const plan: EvictionPolicy['plan'] = (observed, b, rehearsed) => {
    const kept = policy.plan(observed, b, rehearsed)
    result = { observed, kept }
    return kept
  }
  const runner = new Runner(model, reference(), { cache: evicting({ ...policy, plan }, { rows: budget }) })
  await runner.feed(runner.open(), oracle.ids, noOutput, undefined, { settle: true })
  await runner.dispose()
  return result!
}

const made = oracle.cases.filter(c => policies[c.policy])
it.each(made.map(c => [c.policy, c.budget, c] as const))('%s keeps the rows the oracle keeps at %d', async (name, budget, c) => {
  const { kept } = await chosen(policies[name](c.options), budget)
  let [same, all] = [0, 0]
  for (const [i, heads] of c.kept.entries())
    for (const [h, want] of heads.entries()) {
      const own = [...kept[i]![h]!]
      expect(own.length, `rows of layer ${i}, head ${h}`).toBe(want.length)
      const equal = want.filter(row => own.includes(row)).length
      // Where scores are not equal, neither are the rows.
      if (c.gap[i][h] > 1e-5) expect(own, `layer ${i}, head ${h}`).toEqual(want)
      same += equal
      all += want.length
    }
  expect(same / all).toBeGreaterThanOrEqual(0.99)
})

it('keys are turned to their new positions as the oracle turns them', async () => {
  const { budget, sinks, layer, head, every, keys } = oracle.rerotated
  const policy = streamingLlm({ sinks, after: 1 })
  let after: Observed | undefined
  const plan: EvictionPolicy['plan'] = (observed, b) => {
    after = observed
    return policy.plan(observed, b)
  }
  const cache = evicting({ ...policy, observes: { parts: ['k'] }, plan }, { rows: budget * oracle.ids.length })
  const runner = new Runner(model, reference(), { cache })
  const sequence = runner.open()
  await runner.feed(sequence, oracle.ids, noOutput, undefined, { settle: true })
  expect(sequence.position).toBe(keys.length ? budget * oracle.ids.length : 0)
  await runner.step([{ sequence, ids: [1] }], noOutput)
  await runner.dispose()
  const { rows, parts } = after!.layers[layer]
  const width = parts!.k[head].length / rows[head].length
  for (const [i, want] of keys.entries()) {
    const own = parts!.k[head].subarray(i * every * width, (i * every + 1) * width)
    for (const [d, x] of want.entries()) expect(own[d]).toBeCloseTo(x, 3)
  }
})
