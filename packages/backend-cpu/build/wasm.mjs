import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { closure, dist, hashOf, isFresh, put, readSources } from './files.mjs'

const compileFlags = [
  '--target=wasm32', '-std=c++17', '-O3', '-ffreestanding', '-nostdlibinc', '-nostdinc++', '-fno-exceptions', '-fno-rtti', '-ffp-contract=off',
  '-fvisibility=hidden', '-mmutable-globals', '-mnontrapping-fptoint', '-msign-ext', '-mbulk-memory', '-matomics', '-msimd128', '-DISA=wasm',
] // biome-ignore format: one group per line
const linkFlags = [
  '--no-entry',
  '--export-dynamic',
  '--import-memory',
  '--export=__stack_pointer',
  '--export=__heap_base',
  '-z',
  'stack-size=131072',
  '--strip-all',
]
const shared = ['--shared-memory', '--max-memory=4294967296']

const variants = [
  { name: 'simd', flags: [] },
  { name: 'relaxed', flags: ['-mrelaxed-simd'] },
]

/**
 * Compiles the kernels to WebAssembly, with and without relaxed SIMD, each linked for shared memory (`<name>-threads.wasm`) and for
 * pages that are not cross-origin isolated (`<name>.wasm`). The compiler itself is WebAssembly: nothing needs to be installed.
 * Returns one line per artifact.
 */
export async function buildWasm() {
  const files = readSources()
  const require = createRequire(import.meta.url)
  const version = JSON.parse(readFileSync(join(require.resolve('@yowasp/clang'), '../../package.json'), 'utf8')).version
  const lines = []
  for (const { name, flags } of variants) {
    const stamp = hashOf([
      version,
      name,
      ...compileFlags,
      ...linkFlags,
      ...shared,
      ...closure(files, 'kernels.cpp'),
      ...closure(files, 'wasm.cpp'),
    ])
    const outputs = [
      { path: join(dist, 'wasm', `${name}-threads.wasm`), define: ['-DATTUNE_THREADS'], link: shared },
      { path: join(dist, 'wasm', `${name}.wasm`), define: [], link: ['--max-memory=4294967296'] },
    ]
    if (outputs.every(o => isFresh(o.path, stamp))) {
      lines.push(`wasm: ${name} up to date`)
      continue
    }
    const kernels = await tool('clang++', [...compileFlags, ...flags, '-c', 'kernels.cpp'], files, 'kernels.o')
    for (const { path, define, link } of outputs) {
      const entry = await tool('clang++', [...compileFlags, ...flags, ...define, '-c', 'wasm.cpp'], files, 'wasm.o')
      const bytes = await tool(
        'wasm-ld',
        [...linkFlags, ...link, 'kernels.o', 'wasm.o'],
        { 'kernels.o': kernels, 'wasm.o': entry },
        'out.wasm',
      )
      put(path, bytes, stamp)
      lines.push(`wasm: ${path.split(/[\\/]/).at(-1)}, ${Math.round(bytes.length / 1024)} KiB`)
    }
  }
  return lines
}

/** @param {string} name @param {string[]} args @param {Record<string, Uint8Array>} files @param {string} output */
async function tool(name, args, files, output) {
  const { commands, runLLVM } = await import('@yowasp/clang')
  await runLLVM(undefined, {}, { fetchProgress: () => {} }) // loads the compiler without a word; once
  let said = ''
  const decoder = new TextDecoder()
  /** @param {Uint8Array | null} bytes */
  const stderr = bytes => {
    if (bytes) said += decoder.decode(bytes, { stream: true })
  }
  try {
    const tree = await commands[/** @type {'clang++'} */ (name)]([...args, '-o', output], files, {
      stdout: stderr,
      stderr,
      fetchProgress: () => {},
    })
    return /** @type {Uint8Array} */ (tree?.[output])
  } catch (cause) {
    throw new Error(`${name} ${args.at(-1)}: ${said || cause}`, { cause })
  }
}
