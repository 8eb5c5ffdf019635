import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { root } from '../lib/workspace.mjs'

/**
 * Runs the one root vitest and counts its tests.
 * @param {{ quiet: boolean, files: string[] }} options
 * @returns {Promise<import('./report.mjs').Tally>}
 */
export async function runVitest({ quiet, files }) {
  const folder = mkdtempSync(join(tmpdir(), 'attune-test-'))
  const json = join(folder, 'vitest.json')
  const args = [
    'run',
    '--reporter',
    quiet ? 'dot' : 'default',
    '--reporter',
    'json',
    '--outputFile.json',
    json,
    ...(quiet ? ['--silent'] : []),
    ...files,
  ]
  const code = await new Promise(done => {
    const child = spawn(process.execPath, [join(root, 'node_modules/vitest/vitest.mjs'), ...args], {
      cwd: root,
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    child.on('close', code => done(code ?? 1))
  })
  try {
    return tally(JSON.parse(readFileSync(json, 'utf8')), code)
  } catch {
    console.error(`vitest left no result (exit code ${code})`)
    return { passed: 0, failed: 1, skipped: [] }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/**
 * A file that could not be loaded, or an error outside every test, counts as one failed test.
 * @param {any} result what vitest's JSON reporter wrote
 * @param {number} code vitest's exit code
 * @returns {import('./report.mjs').Tally}
 */
export function tally(result, code) {
  const files = result.testResults
  const tests = files.flatMap((/** @type {any} */ file) => file.assertionResults)
  const count = (/** @type {string} */ status) => tests.filter((/** @type {any} */ t) => t.status === status).length
  const broken = files.filter(
    (/** @type {any} */ file) => file.status === 'failed' && !file.assertionResults.some((/** @type {any} */ t) => t.status === 'failed'),
  ).length
  const failed = count('failed') + broken
  const skipped = tests.filter((/** @type {any} */ t) => !['passed', 'failed'].includes(t.status)).map((/** @type {any} */ t) => t.fullName)
  return { passed: count('passed'), failed: failed === 0 && code !== 0 ? 1 : failed, skipped }
}
