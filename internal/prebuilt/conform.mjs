// Runs a prebuilt addon from its package, in a folder where nothing else of this repository is:
//   node internal/prebuilt/conform.mjs linux-x64-gnu
//   node internal/prebuilt/conform.mjs linux-arm64-gnu qemu-aarch64-static -L /usr/aarch64-linux-gnu path/to/arm64/node
// What follows the target is the command that starts a Node of that platform; without it this one.
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { buildPrebuilt } from '../../packages/backend-cpu/build/prebuilt.mjs'
import { root } from '../lib/workspace.mjs'

const [target, ...command] = process.argv.slice(2)
const [file, ...args] = command.length > 0 ? command : [process.execPath]
const [prebuilt] = await buildPrebuilt({ only: [target], say: line => console.log(line) })
const backend = JSON.parse(readFileSync(join(root, 'packages/backend-cpu/package.json'), 'utf8'))
const { name } = JSON.parse(readFileSync(join(prebuilt, 'package.json'), 'utf8'))
const folder = mkdtempSync(join(tmpdir(), 'attune-prebuilt-'))
try {
  mkdirSync(join(folder, 'dist'))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: backend.name, version: backend.version }))
  cpSync(prebuilt, join(folder, 'node_modules', name), { recursive: true })
  await build({
    entryPoints: [join(root, 'internal/prebuilt/conformance.ts')],
    outfile: join(folder, 'dist/conformance.mjs'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    platform: 'node',
    conditions: ['attune-source'],
    external: ['vitest'],
  })
  const child = spawn(file, [...args, join(folder, 'dist/conformance.mjs'), name], { stdio: 'inherit' })
  process.exitCode = await new Promise(done => child.on('close', code => done(code ?? 1)))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
