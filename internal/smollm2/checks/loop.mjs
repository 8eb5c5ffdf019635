import { fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { oracle } from '../oracle.mjs'
import { Pulse } from '../pulse.mjs'

/** Everything else gets its turn: aborts are heard and timers are kept. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  for (const weights of /** @type {const} */ (['f32', 'as-stored'])) {
    const pulse = new Pulse()
    const model = await lab.load({ weights })
    t.note(`${weights}: latest timer while loading`, pulse.stop().latest, ' ms')
    const tokens = oracle('perplexity.json.gz').input_ids
    await timers(t, weights, 'generating 100 tokens', () => generate(model, tokens.slice(0, 20), 100))
    await timers(t, weights, 'prefilling 1500 tokens', () => generate(model, tokens.slice(0, 1500), 1))
    const late = []
    for (const wait of [5, 150, 400, 900]) late.push(await abortAfter(model, tokens.slice(0, 4095), wait))
    t.atMost(`${weights}: abort of a prefill of 4,095 tokens`, Math.max(...late), 100, ' ms')
    t.samples[`${weights} aborts`] = late
    await model.dispose()
  }
}

/**
 * Another program can hold up a timer too, so the best of three tries counts; a process that only sleeps says how busy the machine was.
 * @param {import('../report.mjs').Report} t @param {string} weights @param {string} what @param {() => Promise<void>} work
 */
async function timers(t, weights, what, work) {
  const tries = []
  do {
    const idle = fork(fileURLToPath(new URL('../idle.mjs', import.meta.url)))
    await new Promise(ready => idle.once('message', ready))
    const pulse = new Pulse()
    await work()
    const { latest, ticks } = pulse.stop()
    idle.send('stop')
    const elsewhere = await new Promise(done => idle.once('message', done))
    tries.push({ latest, ticks, elsewhere })
  } while (tries.length < 3 && tries.every(x => x.latest > 50))
  t.atMost(`${weights}: latest 10 ms timer beside ${what}`, Math.min(...tries.map(x => x.latest)), 50, ' ms')
  t.note(`${weights}: the same in a process that only sleeps`, Math.min(...tries.map(x => x.elsewhere)), ' ms')
  t.samples[`${weights} ${what}`] = tries
}

/** @param {import('../lab.mjs').Loaded} model @param {number[]} prompt @param {number} maxTokens */
async function generate(model, prompt, maxTokens) {
  const session = model.session()
  for await (const _ of session.generate(prompt, { maxTokens, endIds: [] }));
  session.close()
}

/** Milliseconds from the abort to the refusal. @param {import('../lab.mjs').Loaded} model @param {number[]} prompt @param {number} wait */
async function abortAfter(model, prompt, wait) {
  const controller = new AbortController()
  const session = model.session()
  let at = 0
  setTimeout(() => {
    at = performance.now()
    controller.abort()
  }, wait)
  try {
    for await (const _ of session.generate(prompt, { maxTokens: 1, endIds: [], signal: controller.signal }));
  } catch (error) {
    if (/** @type {any} */ (error).code === 'ERR_ABORTED') return performance.now() - at
    throw error
  } finally {
    session.close()
  }
  throw new Error(`the prefill ended before an abort after ${wait} ms`)
}
