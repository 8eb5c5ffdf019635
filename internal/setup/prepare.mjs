import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { readStamps, writeStamp } from '../lib/stamp.mjs'
import { root } from '../lib/workspace.mjs'
import { run } from './run.mjs'
import { buildStep, installStep, kernelStep } from './steps.mjs'

/**
 * Brings the clone to where its code can run: dependencies, JavaScript, CPU kernels. A step whose inputs did not change since it
 * last succeeded is not run again. `quiet` says nothing but what takes time or fails.
 * @param {{ say: (line: string) => void, quiet?: boolean }} options
 */
export async function prepare({ say, quiet = false }) {
  const begin = performance.now()
  let worked = false
  for (const step of [installStep, buildStep, kernelStep]) {
    const stamp = step.stamp()
    if (readStamps()[step.name] === stamp && step.outputs().every(path => existsSync(join(root, path)))) continue
    worked = true
    say(`attune: ${step.saying} …`)
    const started = performance.now()
    const { code, output } = await run(step.command())
    if (code !== 0) {
      process.stderr.write(output)
      console.error(`attune: ${step.saying} failed (exit code ${code}); what it printed is above.`)
      process.exit(1)
    }
    if (step.tells) for (const line of output.trim().split('\n')) say(`attune:   ${line}`)
    writeStamp(step.name, step.stamp())
    say(`attune: ${step.saying} took ${seconds(performance.now() - started)}`)
  }
  if (!quiet) say(worked ? `attune: set up in ${seconds(performance.now() - begin)}` : 'attune: already set up')
}

/** @param {number} ms */
const seconds = ms => `${(ms / 1000).toFixed(1)} s`
