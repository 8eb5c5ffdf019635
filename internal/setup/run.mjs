import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { root } from '../lib/workspace.mjs'

/**
 * Runs a command in the repository's root and collects what it prints.
 * @param {{ file: string, args: string[], env?: Record<string, string>, cwd?: string, shell?: boolean }} command
 * @returns {Promise<{ code: number, output: string }>}
 */
export function run({ file, args, env = {}, cwd = root, shell = false }) {
  return new Promise(done => {
    const child = spawn(file, args, { cwd, shell, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', text => (output += text))
    child.stderr.on('data', text => (output += text))
    child.on('error', error => done({ code: 1, output: `${output}${error.message}\n` }))
    child.on('close', (code, signal) => done({ code: code ?? 1, output: signal ? `${output}ended by ${signal}\n` : output }))
  })
}

/**
 * npm's own `npx`, also where only the npm that runs this script is known.
 * @param {string[]} args
 */
export function npx(args) {
  const npm = process.env.npm_execpath
  const env = { npm_config_loglevel: 'error' } // not npm's opinion of the user's own settings
  if (npm?.endsWith('npm-cli.js')) return { file: process.execPath, args: [npm, 'exec', '--yes', '--', ...args], env }
  const windows = process.platform === 'win32'
  return { file: windows ? 'npx.cmd' : 'npx', args: ['--yes', ...args], shell: windows, env }
}

/** The user's npm. @param {string[]} args */
export function npm(args) {
  const own = process.env.npm_execpath
  if (own?.endsWith('npm-cli.js')) return { file: process.execPath, args: [own, ...args] }
  const windows = process.platform === 'win32'
  return { file: windows ? 'npm.cmd' : 'npm', args, shell: windows }
}

/** pnpm in exactly the version that package.json pins. @param {string[]} args */
export const pnpm = args => npx([String(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager), ...args])

/** @param {string[]} tasks */
export function turbo(tasks) {
  const command = pnpm(['exec', 'turbo', 'run', ...tasks, '--output-logs=new-only', '--no-update-notifier'])
  return { ...command, env: { ...command.env, TURBO_TELEMETRY_DISABLED: '1', FORCE_COLOR: '0' } }
}
