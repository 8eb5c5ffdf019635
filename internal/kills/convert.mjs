// Kills a conversion a hundred times at random moments and says whether its source stayed as it was and each result is, byte for byte, that of
// a run nobody disturbed. By hand: node internal/kills/convert.mjs [--kills 100] [--seed 1]

import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const { values } = parseArgs({ options: { kills: { type: 'string', default: '100' }, seed: { type: 'string', default: '1' } } })
const inRepository = (/** @type {string} */ path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))
const root = mkdtempSync(join(tmpdir(), 'attune-kills-'))
const source = join(root, 'source')
cpSync(inRepository('packages/models/test/fixtures/llama-gqa-tied'), source, { recursive: true })
const child = join(root, 'child.mjs')
await build({
  entryPoints: [inRepository('packages/convert/test/conversion-child.ts')],
  outfile: child,
  bundle: true,
  format: 'esm',
  platform: 'node',
  conditions: ['attune-source'],
})

let state = Number(values.seed)
const random = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32

const before = hashes(source)
const undisturbed = join(root, 'undisturbed')
const { ms } = await convert(undisturbed)
const wanted = hashes(undisturbed)
console.log(`undisturbed: ${ms.toFixed(0)} ms, ${Object.keys(wanted).length} files`)
let [kills, results, resumed, wrong] = [0, 0, 0, 0]
while (kills < Number(values.kills)) {
  const target = join(root, `out-${results}`)
  for (let ended = false; !ended; ) {
    const run = await convert(target, kills < Number(values.kills) ? random() * ms : undefined)
    ended = !run.killed
    if (run.killed) kills++
    if (run.said.includes('resumed')) resumed++
    if (run.killed && existsSync(target) && !same(hashes(target), wanted)) wrong++
    if (!run.killed && run.code !== 0) throw new Error(run.said)
  }
  if (!same(hashes(target), wanted)) wrong++
  if (!same(hashes(source), before)) throw new Error('the source changed')
  results++
  rmSync(target, { recursive: true })
}
const left = readdirSync(root).filter(name => name.endsWith('.partial'))
console.log(
  `${kills} kills, ${resumed} runs went on from earlier work, ${results} results, ${wrong} of them wrong, ${left.length} working folders left; source as it was`,
)
rmSync(root, { recursive: true })
process.exitCode = wrong + left.length > 0 ? 1 : 0

/** @param {string} target @param {number} [kill] milliseconds after it began to convert */
function convert(target, kill) {
  const run = spawn(process.execPath, [child, source, target], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  let begin = performance.now()
  for (const from of [run.stdout, run.stderr])
    from.on('data', text => {
      if (said === '') begin = performance.now()
      if (said === '' && kill !== undefined) setTimeout(() => run.kill('SIGKILL'), kill)
      said += text
    })
  return new Promise((/** @type {(r: { code: number | null, killed: boolean, said: string, ms: number }) => void} */ done) =>
    run.on('close', (code, signal) => done({ code, killed: signal === 'SIGKILL', said, ms: performance.now() - begin })),
  )
}

/** @param {string} folder @returns {Record<string, string>} */
function hashes(folder) {
  return Object.fromEntries(
    readdirSync(folder)
      .sort()
      .map(name => [
        name,
        createHash('sha256')
          .update(readFileSync(join(folder, name)))
          .digest('hex'),
      ]),
  )
}
/** @param {unknown} a @param {unknown} b */
function same(a, b) {
  return JSON.stringify(a) === JSON.stringify(b)
}
