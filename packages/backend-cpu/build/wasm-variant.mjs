// One variant of the WebAssembly kernels: `node build/wasm-variant.mjs simd`. The compiler itself is WebAssembly.
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { closure, dist, hashOf, isFresh, objectFolder, put, readSources } from './files.mjs'

// biome-ignore format: one group per line
const compileFlags = [
  '--target=wasm32', '-std=c++17', '-O3', '-ffreestanding', '-nostdlibinc', '-nostdinc++', '-fno-exceptions', '-fno-rtti', '-ffp-contract=off',
  '-fvisibility=hidden', '-mmutable-globals', '-mnontrapping-fptoint', '-msign-ext', '-mbulk-memory', '-matomics', '-msimd128', '-DISA=wasm',
]
// biome-ignore format: one group per line
const linkFlags = [
  '--no-entry', '--export-dynamic', '--import-memory', '--export=__stack_pointer', '--export=__heap_base',
  '-z', 'stack-size=131072', '--strip-all', '--max-memory=4294967296',
]

/** @type {readonly { name: string, flags: string[] }[]} */
export const variants = [
  { name: 'simd', flags: [] },
  { name: 'relaxed', flags: ['-mrelaxed-simd'] },
]

/**
 * What a variant is made of: linked for shared memory (`<name>-threads.wasm`) and for pages that are not cross-origin isolated.
 * @param {string} name
 */
export function variant(name) {
  const files = readSources()
  const flags = [...compileFlags, ...(variants.find(v => v.name === name)?.flags ?? [])]
  const version = JSON.parse(
    readFileSync(join(createRequire(import.meta.url).resolve('@yowasp/clang'), '../../package.json'), 'utf8'),
  ).version
  const outputs = [
    { path: join(dist, 'wasm', `${name}-threads.wasm`), link: [...linkFlags, '--shared-memory'] },
    { path: join(dist, 'wasm', `${name}.wasm`), link: linkFlags },
  ]
  const kernels = hashOf([version, ...flags, ...closure(files, 'kernels.cpp')])
  return { files, flags, outputs, kernels, stamp: hashOf([kernels, ...linkFlags, ...closure(files, 'wasm.cpp')]) }
}

/** @param {string} name */
async function build(name) {
  const { files, flags, outputs, kernels, stamp } = variant(name)
  const clang = await loadClang()
  const kept = join(objectFolder, `${kernels}.o`)
  if (!isFresh(kept, kernels)) put(kept, await clang('clang++', [...flags, '-c', 'kernels.cpp'], files, 'kernels.o'), kernels)
  const objects = {
    'kernels.o': readFileSync(kept),
    'wasm.o': await clang('clang++', [...flags, '-c', 'wasm.cpp'], files, 'wasm.o'),
  }
  for (const { path, link } of outputs) {
    const bytes = await clang('wasm-ld', [...link, ...Object.keys(objects)], objects, 'out.wasm')
    put(path, bytes, stamp)
    console.log(`wasm: ${basename(path)}, ${Math.round(bytes.length / 1024)} KiB`)
  }
}

async function loadClang() {
  setFlagsFromString('--liftoff-only') // optimising the compiler costs more than it saves on a few files
  const { commands, runLLVM } = await import('@yowasp/clang')
  await runLLVM(undefined, {}, { fetchProgress: () => {} }) // loads it without a word
  /** @param {string} tool @param {string[]} args @param {Record<string, Uint8Array>} files @param {string} output */
  return async (tool, args, files, output) => {
    let said = ''
    const decoder = new TextDecoder()
    /** @param {Uint8Array | null} bytes */
    const hear = bytes => {
      if (bytes) said += decoder.decode(bytes, { stream: true })
    }
    try {
      const tree = await commands[/** @type {'clang++'} */ (tool)]([...args, '-o', output], files, { stdout: hear, stderr: hear })
      return /** @type {Uint8Array} */ (tree?.[output])
    } catch (cause) {
      throw new Error(`${tool} ${args.at(-1)}: ${said || cause}`, { cause })
    }
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  build(process.argv[2]).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
