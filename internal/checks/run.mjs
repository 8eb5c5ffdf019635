import { pathToFileURL } from 'node:url'
import { checks } from './checks.mjs'

/** @typedef {{ title: string, check(): Promise<string[]> | string[] }} Check `check` returns one sentence per problem. */

/**
 * Runs the structural checks, each counted as one test.
 * @param {{ quiet?: boolean, only?: string[] }} options
 * @returns {Promise<import('./report.mjs').Tally>}
 */
export async function runChecks({ quiet = false, only = [] } = {}) {
  const unknown = only.filter(name => !(name in checks))
  if (unknown.length > 0) throw new Error(`no check is called ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`)
  let passed = 0
  let failed = 0
  for (const [name, load] of Object.entries(checks)) {
    if (only.length > 0 && !only.includes(name)) continue
    const { title, check } = await load()
    const begin = performance.now()
    const problems = await Promise.resolve()
      .then(check)
      .catch(error => [error.stack ?? String(error)])
    const line = `${name}: ${title} (${((performance.now() - begin) / 1000).toFixed(1)} s)`
    if (problems.length === 0) {
      passed++
      if (!quiet) console.log(`✓ ${line}`)
    } else {
      failed++
      console.error(`✗ ${line}`)
      for (const problem of problems) console.error(`    ${problem.replaceAll('\n', '\n    ')}`)
    }
  }
  return { passed, failed, skipped: [] }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { report } = await import('./report.mjs')
  process.exitCode = report([await runChecks({ only: process.argv.slice(2) })])
}
