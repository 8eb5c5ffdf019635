import { contiguous, evicting, paged } from '@attune/cache'
import { kvZip, repetitionGates } from '@attune/cache/policies'
import { passKeys } from '@attune/evaluate'
import { allLogits, noOutput, Runner } from '@attune/models'
import { bits, rows } from './logits.mjs'
import { oracle } from './oracle.mjs'

/** @typedef {import('@attune/cache').EvictionPolicy} Policy */
/** @typedef {import('@attune/models').Sequence} Sequence */
/** @typedef {{ kl: number, recall: number, logprob: number }} Figures KL and log-probability in nats */
/** @typedef {{ ids: number[], next: number[] }} Text a prompt and what follows it */

/** Prompts of 1,500 tokens, what the model says after each without a policy, and what it says with one. */
export class PolicyBench {
  /** Logits after each text's prompt, and after each token that follows. @type {Float32Array[][]} */
  wanted = []
  full = { recall: 0, logprob: 0 }

  /** @param {import('./lab.mjs').Loaded} model @param {number} budget */
  constructor(model, budget) {
    this.model = model
    this.budget = budget
    const { long1500 } = oracle('golden.json.gz').prompts
    const { input_ids: opticks } = oracle('perplexity.json.gz')
    this.calibration = opticks.slice(3600, 4000)
    /** @type {Text[]} */
    this.texts = [
      { ids: long1500.input_ids, next: long1500.greedy_ids },
      { ids: opticks.slice(0, 1500), next: opticks.slice(1500, 1596) },
    ]
    /** @param {string} text */
    const encode = text => model.tokenizer.encode(text)
    /** @type {Text[]} */
    this.keys = passKeys(encode, { filler: opticks.slice(1700), tokens: 1500, depths: [0.1, 0.35, 0.6, 0.85] }).map(({ ids, answer }) => ({
      ids: [...ids],
      next: [...answer],
    }))
    this.words = {
      question: encode('\n\nRepeat the previous context exactly.'),
      again: encode('\n\nRepeat the part of the previous context exactly, starting with'),
      suffix: encode('\n'),
    }
  }

  async open() {
    const runner = this.#runner(contiguous())
    for (const text of this.texts) this.wanted.push(await this.#read(runner, text))
    const found = []
    for (const key of this.keys) found.push(recalled(await this.#read(runner, key), key))
    this.full = meanOf(found)
    await runner.dispose()
  }

  /** Which heads retrieve, measured once on 400 tokens that nothing else reads. @returns {Promise<number[][]>} */
  async gates() {
    /** @type {number[][]} */
    let gates = []
    /** @type {Policy} */
    const watching = {
      ...kvZip(this.words),
      plan(_, __, scores) {
        gates = repetitionGates(/** @type {Float32Array[][]} */ (scores))
        return []
      },
    }
    const runner = this.#runner(evicting(watching, { rows: this.budget }))
    await runner.feed(runner.open(), this.calibration, noOutput, undefined, { settle: true })
    await runner.dispose()
    return gates
  }

  /** Figures of policies that observe the same: each acts on a copy of the sequence that read the prompt. @param {Policy[]} group */
  async measure(group) {
    /** @type {Policy | undefined} */
    let acting
    /** @type {unknown} */
    let rehearsed
    /** @type {Policy} */
    const one = {
      ...group[0],
      plan(observed, budget, own) {
        rehearsed ??= own
        return acting ? acting.plan(observed, budget, rehearsed) : []
      },
    }
    const runner = this.#runner(
      evicting(
        acts(one, () => acting === undefined),
        { rows: this.budget },
      ),
    )
    const sums = group.map(() => ({ kl: 0, tokens: 0, found: /** @type {{ recall: number, logprob: number }[]} */ ([]) }))
    for (const [i, text] of [...this.texts, ...this.keys].entries()) {
      const sequence = runner.open()
      acting = rehearsed = undefined
      await runner.feed(sequence, text.ids.slice(0, -1), noOutput, undefined, { settle: true })
      for (const [k, policy] of group.entries()) {
        acting = policy
        const copy = await runner.fork(sequence)
        await runner.feed(copy, [], noOutput, undefined, { settle: true })
        const logits = await this.#after(runner, copy, text)
        runner.close(copy)
        const wanted = this.wanted[i]
        if (!wanted) sums[k].found.push(recalled(logits, text))
        else for (const [at, row] of logits.entries()) sums[k].kl += divergence(wanted[at], row)
        if (wanted) sums[k].tokens += logits.length
      }
      runner.close(sequence)
    }
    await runner.dispose()
    return sums.map(({ kl, tokens, found }) => ({ kl: kl / tokens, ...meanOf(found) }))
  }

  /** Figures of a cache that acts by itself. @param {import('@attune/cache').CacheManager} cache */
  async figures(cache) {
    const runner = this.#runner(cache)
    let [kl, tokens] = [0, 0]
    for (const [i, text] of this.texts.entries())
      for (const [at, row] of (await this.#read(runner, text)).entries()) {
        kl += divergence(this.wanted[i][at], row)
        tokens++
      }
    const found = []
    for (const key of this.keys) found.push(recalled(await this.#read(runner, key), key))
    await runner.dispose()
    return { kl: kl / tokens, ...meanOf(found) }
  }

  /** Whether a budget that everything fits gives the bits of a cache without a policy, fed in the same pieces. @param {Policy} policy */
  async whole(policy) {
    const [text] = this.texts
    const kept = this.#runner(evicting(policy, { rows: text.ids.length }))
    const own = bits(await this.#read(kept, text))
    await kept.dispose()
    const { mass, queries } = policy.observes
    const last = mass === 'all' ? 0 : Math.max(mass ?? 0, queries ?? 0)
    if (!this.#plain.has(last)) {
      const runner = this.#runner(contiguous())
      this.#plain.set(last, bits(await this.#read(runner, text, last)))
      await runner.dispose()
    }
    return own === this.#plain.get(last)
  }
  /** @type {Map<number, string>} */
  #plain = new Map()

  /** Bytes allocated after a prompt, of those of a cache without a policy. @param {Policy} policy */
  async share(policy) {
    const bytes = []
    for (const cache of [evicting(policy, { rows: this.budget }), paged()]) {
      const runner = this.#runner(cache)
      await runner.feed(runner.open(), this.texts[0].ids, noOutput, undefined, { settle: true })
      bytes.push(runner.cacheBytes)
      await runner.dispose()
    }
    return bytes[0] / bytes[1]
  }

  /** @param {import('@attune/cache').CacheManager} cache */
  #runner(cache) {
    return new Runner(this.model.model, this.model.device, { cache })
  }
  /** Reads a prompt, the `last` tokens in a piece of their own, and what follows. @param {Runner} runner @param {Text} text @param {number} [last] */
  async #read(runner, text, last = 0) {
    const sequence = runner.open()
    const prompt = text.ids.slice(0, -1)
    await runner.feed(sequence, prompt.slice(0, prompt.length - last), noOutput, undefined, { settle: last === 0 })
    if (last > 0) await runner.feed(sequence, prompt.slice(-last), noOutput)
    const logits = await this.#after(runner, sequence, text)
    runner.close(sequence)
    return logits
  }
  /** Logits of a prompt's last token and of each token after it. @param {Runner} runner @param {Sequence} sequence @param {Text} text */
  async #after(runner, sequence, { ids, next }) {
    /** @type {Float32Array[]} */
    const out = []
    await runner.turn([{ sequence, ids: [ids[ids.length - 1], ...next] }], allLogits, async r =>
      rows(await r.read('logits'), 0, next.length + 1, row => out.push(row.slice())),
    )
    return out
  }
}

/** The policy, with its rehearsal only while `wanted`. @param {Policy} policy @param {() => boolean} wanted @returns {Policy} */
const acts = (policy, wanted) => ({
  ...policy,
  rehearse: policy.rehearse && { ...policy.rehearse, run: async r => (wanted() ? policy.rehearse?.run(r) : undefined) },
})

/** @param {Float32Array[]} logits @param {Text} key */
function recalled(logits, { next }) {
  const own = next.map((id, i) => ({
    best: logits[i].indexOf(Math.max(...logits[i])) === id,
    logprob: logits[i][id] - logSumExp(logits[i]),
  }))
  return { recall: Number(own.every(x => x.best)), logprob: own.reduce((n, x) => n + x.logprob, 0) / own.length }
}
/** @param {{ recall: number, logprob: number }[]} list */
const meanOf = list => ({
  recall: list.reduce((n, x) => n + x.recall, 0) / list.length,
  logprob: list.reduce((n, x) => n + x.logprob, 0) / list.length,
})

/** KL(p ‖ q) of two rows of logits. @param {Float32Array} p @param {Float32Array} q */
function divergence(p, q) {
  const [a, b] = [logSumExp(p), logSumExp(q)]
  let kl = 0
  for (let i = 0; i < p.length; i++) kl += Math.exp(p[i] - a) * (p[i] - a - (q[i] - b))
  return kl
}
/** @param {Float32Array} x */
function logSumExp(x) {
  let top = Number.NEGATIVE_INFINITY
  for (const v of x) if (v > top) top = v
  let sum = 0
  for (const v of x) sum += Math.exp(v - top)
  return top + Math.log(sum)
}
