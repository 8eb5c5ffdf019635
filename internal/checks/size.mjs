import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { root } from '../lib/workspace.mjs'

const budget = 60_000
const page = `
import { gqa } from '@attune/attention-heads/gqa'
import { cpu } from '@attune/backend-cpu'
globalThis.attune = [gqa, cpu()]
`

export const title = 'a page with one variant and the CPU backend stays within 60 kB gzip, WebAssembly apart'

export async function check() {
  const { bytes, parts } = await measure(page)
  if (bytes <= budget) return []
  return [`the page is ${bytes} bytes gzip, ${bytes - budget} above the budget; minified, before gzip: ${parts.join(', ')}`]
}

/** WebAssembly that a source file embeds counts as WebAssembly, not as the page's script. @type {import('esbuild').Plugin} */
const withoutWasm = {
  name: 'without-wasm',
  setup: ({ onLoad }) => onLoad({ filter: /\.wasm\.ts$/ }, () => ({ contents: 'export const WASM = "", SOURCES = ""', loader: 'ts' })),
}

/**
 * Bundles a page for browsers from source, dynamic imports included, and weighs it.
 * @param {string} contents
 * @returns {Promise<{ bytes: number, parts: string[] }>} gzip size, and what each package adds before gzip, largest first
 */
export async function measure(contents) {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    absWorkingDir: root,
    bundle: true,
    minify: true,
    write: false,
    metafile: true,
    outdir: 'out',
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    conditions: ['attune-source'],
    external: ['node:*'],
    plugins: [withoutWasm],
    logLevel: 'silent',
  })
  const weights = new Map()
  for (const [file, { bytesInOutput }] of Object.values(metafile.outputs).flatMap(o => Object.entries(o.inputs))) {
    const part = file.match(/^packages\/[^/]+/)?.[0] ?? file
    weights.set(part, (weights.get(part) ?? 0) + bytesInOutput)
  }
  const parts = [...weights].sort((a, b) => b[1] - a[1]).map(([part, bytes]) => `${part} ${bytes}`)
  return { bytes: gzipSync(outputFiles[0].contents, { level: 9 }).length, parts }
}
