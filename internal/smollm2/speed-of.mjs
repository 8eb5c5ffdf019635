// Times one configuration and prints JSON: speed-of.mjs DEVICE MODEL WEIGHTS THREADS
import { Lab } from './lab.mjs'
import { oracle } from './oracle.mjs'

const [device, model, weights, threads] = process.argv.slice(2)
const lab = new Lab(device, model)
const began = performance.now()
const loaded = await lab.load({ weights: weights === 'f32' ? 'f32' : 'as-stored', threads: Number(threads) })
const loadMs = Math.round(performance.now() - began)
const tokens = oracle('perplexity.json.gz').input_ids
const prefill = []
const decode = []
/** Milliseconds of every decode step. @type {number[][]} */
const steps = []
for (let i = 0; i < 4; i++) {
  const session = loaded.session()
  const times = [performance.now()]
  for await (const _ of session.generate(tokens.slice(i * 512, i * 512 + 512), { maxTokens: 129, endIds: [] }))
    times.push(performance.now())
  session.close()
  if (i === 0) continue // records
  prefill.push(rate(512, times[1] - times[0]))
  decode.push(rate(128, times[129] - times[1]))
  steps.push(times.slice(1).map((t, k) => Math.round((t - times[k]) * 100) / 100))
}
console.log(
  JSON.stringify({
    device: loaded.device.name,
    loadMs,
    prefill,
    decode,
    steps,
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
  }),
)
await lab.close()

/** @param {number} tokens @param {number} ms */
function rate(tokens, ms) {
  return Math.round((tokens / ms) * 100000) / 100
}
