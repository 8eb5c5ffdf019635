import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { isFresh } from './files.mjs'
import { variant, variants } from './wasm-variant.mjs'

/**
 * Compiles the kernels to WebAssembly, with and without relaxed SIMD, side by side. Returns one line per artifact.
 * @returns {Promise<string[]>}
 */
export async function buildWasm() {
  const lines = await Promise.all(variants.map(({ name }) => (fresh(name) ? [`wasm: ${name} up to date`] : compile(name))))
  return lines.flat()
}

/** @param {string} name */
function fresh(name) {
  const { stamp, outputs } = variant(name)
  return outputs.every(o => isFresh(o.path, stamp))
}

/** Runs wasm-variant.mjs in a process of its own: the compiler is single-threaded. @param {string} name @returns {Promise<string[]>} */
function compile(name) {
  const script = fileURLToPath(new URL('./wasm-variant.mjs', import.meta.url))
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [script, name], { stdio: ['ignore', 'pipe', 'pipe'] })
    let out = ''
    let error = ''
    child.stdout.on('data', text => (out += text))
    child.stderr.on('data', text => (error += text))
    child.on('error', fail)
    child.on('close', code => (code === 0 ? done(out.trim().split('\n')) : fail(new Error(`wasm: ${name}: ${error || out}`))))
  })
}
