import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import { join } from 'node:path'
import { root } from '../lib/workspace.mjs'

/** @typedef {{ check: string, value: unknown, bar?: string, holds?: boolean }} Line */

/** Prints a line per check and keeps every number for the results file. */
export class Report {
  /** @type {Line[]} */
  lines = []
  /** @type {Record<string, unknown>} */
  samples = {}
  #began = performance.now()

  /** @param {string} suite @param {string} device */
  constructor(suite, device) {
    this.suite = suite
    this.device = device
  }
  get failed() {
    return this.lines.some(l => l.holds === false)
  }
  /** A value that must be at most `most`. @param {string} check @param {number} value @param {number} most @param {string} [unit] */
  atMost(check, value, most, unit = '') {
    this.#line({ check, value, bar: `≤ ${show(most)}${unit}`, holds: value <= most }, unit)
  }
  /** @param {string} check @param {number} value @param {number} least @param {string} [unit] */
  atLeast(check, value, least, unit = '') {
    this.#line({ check, value, bar: `≥ ${show(least)}${unit}`, holds: value >= least }, unit)
  }
  /** @param {string} check @param {unknown} value @param {unknown} want */
  equal(check, value, want) {
    this.#line({ check, value, bar: `= ${show(want)}`, holds: Object.is(value, want) })
  }
  /** @param {string} check @param {string} why */
  fail(check, why) {
    this.#line({ check, value: why, holds: false })
  }
  /** A number worth knowing that nothing is asked of. @param {string} check @param {unknown} value @param {string} [unit] */
  note(check, value, unit = '') {
    this.#line({ check, value }, unit)
  }
  /** @param {Line} line @param {string} [unit] */
  #line(line, unit = '') {
    this.lines.push(line)
    const mark = line.holds === undefined ? ' ' : line.holds ? '✓' : '✗'
    console.log(`${mark} ${this.device} ${this.suite}: ${line.check}: ${show(line.value)}${unit}${line.bar ? ` (${line.bar})` : ''}`)
  }
  /** @param {import('./lab.mjs').Lab} lab */
  save(lab) {
    const folder = join(root, 'internal/bench/results')
    mkdirSync(folder, { recursive: true })
    const { suite, device, lines, samples } = this
    const seconds = Math.round((performance.now() - this.#began) / 100) / 10
    const result = { suite, device, when: new Date().toISOString(), seconds, machine: machine(), build: lab.builds, lines, samples }
    writeFileSync(join(folder, `smollm2-${suite}-${device}.json`), `${JSON.stringify(result, null, 1)}\n`)
  }
}

/** @param {unknown} x */
const show = x =>
  typeof x !== 'number' ? String(x) : Number.isInteger(x) ? String(x) : Math.abs(x) < 1e-3 ? x.toExponential(2) : String(+x.toPrecision(6))

export function machine() {
  const info = readText('/proc/cpuinfo')
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1].split(' ') ?? []
  return {
    cpu: os.cpus()[0]?.model,
    cores: os.availableParallelism(),
    flags: flags.filter(f => /^(sse|ssse|avx|fma|f16c|amx|asimd|neon|sve|fp16|i8mm|bf16)/.test(f)),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()} ${os.arch()}`,
    loadAverage: os.loadavg(),
    node: process.versions.node,
    v8: process.versions.v8,
    commit: git(['rev-parse', '--short=12', 'HEAD']),
    changed: git(['status', '--porcelain', '--', 'packages']) !== '',
    attune: JSON.parse(readText(join(root, 'packages/kit/package.json'))).version,
  }
}

/** @param {string[]} args */
function git(args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return 'unknown'
  }
}
/** @param {string} path */
function readText(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
