import { spawn } from 'node:child_process'

/** Runs a program and gives what it printed; throws with its complaints when it fails. @param {string} file @param {string[]} args @param {Record<string, string>} env @returns {Promise<string>} */
export function call(file, args, env = {}) {
  return new Promise((done, fail) => {
    const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    let out = ''
    let error = ''
    child.stdout.on('data', text => (out += text))
    child.stderr.on('data', text => (error += text))
    child.on('error', fail)
    child.on('close', code => (code === 0 ? done(out) : fail(new Error(`${file} ${args.at(-1)}: exit code ${code}\n${error}`))))
  })
}
