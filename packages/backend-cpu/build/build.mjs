// Builds the CPU kernels into dist/: `node build/build.mjs [--native-only | --wasm-only] [--isa=avx512,…]`. What is up to date is
// left alone. A missing or failing C++ compiler is not an error: the device then runs as WebAssembly.
import { parseArgs } from 'node:util'
import { buildNative, explainAbsence } from './native.mjs'
import { buildWasm } from './wasm.mjs'

const { values } = parseArgs({
  options: { 'native-only': { type: 'boolean' }, 'wasm-only': { type: 'boolean' }, isa: { type: 'string' } },
})
const seconds = (/** @type {number} */ since) => `${((performance.now() - since) / 1000).toFixed(1)} s`
const begin = performance.now()

const native = values['wasm-only']
  ? undefined
  : buildNative({ only: values.isa?.split(',') }).then(
      line => console.log(`${line}, ${seconds(begin)}`),
      error => {
        explainAbsence(error.message)
        console.log(`native: not built, the device will use WebAssembly: ${error.message}`)
        if (values['native-only']) process.exitCode = 1
      },
    )
const wasm = values['native-only']
  ? undefined
  : buildWasm().then(
      lines => console.log(`${lines.join('\n')}, ${seconds(begin)}`),
      error => {
        console.log(error.message)
        process.exitCode = 1
      },
    )
await Promise.all([native, wasm])
