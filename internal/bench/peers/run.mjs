// pnpm bench:peers [--only gemm,language] [--threads 1,2] [--rounds 5] [--python PATH] [--weights FOLDER]
// Each pair runs in the same minutes, round after round in turn, in processes of their own; medians and every sample go to
// internal/bench/results/peers.json.
import { execFileSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { root } from '../../lib/workspace.mjs'
import { oracle } from '../../smollm2/oracle.mjs'
import { machine } from '../../smollm2/report.mjs'
import { Side } from './side.mjs'
import { tasks } from './tasks.mjs'

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    threads: { type: 'string', default: '1,2' },
    rounds: { type: 'string', default: '5' },
    python: { type: 'string' },
    weights: { type: 'string' },
  },
})
const folder = fileURLToPath(new URL('.', import.meta.url))
if (!existsSync(join(folder, 'node_modules')))
  execFileSync(
    'npm',
    ['install', '--prefix', folder, '--no-audit', '--no-fund', '--ignore-scripts', '--no-workspaces', '--no-package-lock'],
    {
      stdio: 'inherit',
      shell: process.platform === 'win32',
    },
  )
const rounds = Number(values.rounds)
const only = values.only?.split(',')
/** @type {Awaited<ReturnType<typeof compared>>[]} */
const results = []
const file = join(root, 'internal/bench/results/peers.json')
for (const threads of values.threads.split(',').map(Number))
  for (const task of tasks) {
    if (only && !only.includes(task.task)) continue
    if (task.params.wasm && threads > 1) continue // the peers' builds for Node have one thread
    const params = paramsOf(task)
    if (!params) continue
    try {
      const result = await compared({ ...task, params }, threads)
      results.push(result)
      writeFileSync(file, `${JSON.stringify({ when: new Date().toISOString(), machine: machine(), rounds, results }, null, 1)}\n`)
      console.log(lineOf(result))
    } catch (error) {
      console.log(`${task.title}: ${/** @type {Error} */ (error).message}`)
    }
  }
console.log(`written to ${file}`)

/** Where the weights are, and the prompt's ids. @param {import('./tasks.mjs').Task} task */
function paramsOf({ task, title, params }) {
  if (task !== 'language') return params
  const path = values.weights && join(values.weights, params.file)
  if (!path || !existsSync(path)) {
    console.log(`${title}: not run, no ${params.file} in ${values.weights ?? '--weights FOLDER'}`)
    return undefined
  }
  return { ...params, path, ids: oracle('perplexity.json.gz').input_ids.slice(0, params.context) }
}

/** Every side in turn, `rounds` times after one to warm up. @param {import('./tasks.mjs').Task} task @param {number} threads */
async function compared(task, threads) {
  const names = ['attune', ...task.peers.filter(p => p !== 'pytorch' || values.python)]
  /** @type {Record<string, number[]>} */
  const samples = {}
  /** @type {Record<string, unknown>} */
  const about = {}
  const sides = names.map(name => new Side(name, name === 'pytorch' ? { python: values.python } : {}))
  try {
    for (const side of sides) about[side.name] = (await side.ask({ task: task.task, threads, params: task.params })).ready
    for (let round = 0; round <= rounds; round++)
      for (const side of sides) {
        const told = await side.ask({})
        if (round > 0) (samples[side.name] ??= []).push(rateOf(task, told))
      }
  } finally {
    for (const side of sides) side.close()
  }
  const rates = Object.fromEntries(names.map(n => [n, median(samples[n])]))
  const best = Math.max(...names.slice(1).map(n => rates[n]))
  const { ids: _, path: __, ...params } = task.params
  return {
    title: task.title,
    threads,
    params,
    of: task.of,
    unit: task.flops ? 'GFLOP/s' : 'tokens/s',
    about,
    samples,
    rates,
    ratio: rates.attune / best,
    bar: task.bar,
  }
}

/** @param {import('./tasks.mjs').Task} task @param {Record<string, number>} told */
function rateOf(task, told) {
  return task.of ? told[task.of] : /** @type {number} */ (task.flops) / told.ms / 1e6
}

/** @param {number[]} all */
function median(all) {
  const sorted = [...all].sort((a, b) => a - b)
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2
}

/** @param {Awaited<ReturnType<typeof compared>>} r */
function lineOf({ title, threads, rates, unit, ratio, bar }) {
  const all = Object.entries(rates).map(([n, x]) => `${n} ${x.toPrecision(4)}`)
  const judged = bar === undefined || !Number.isFinite(ratio) ? '' : ` ${ratio >= bar ? '✓' : '✗'} bar ${bar}`
  return `${title}, ${threads} thread${threads > 1 ? 's' : ''}: ${all.join(', ')} ${unit}; ratio ${ratio.toFixed(2)}${judged}`
}
