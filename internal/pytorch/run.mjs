// Writes every tiny checkpoint, as it is and converted, and opens the folders in PyTorch: the logits must be attune's.
// By hand: node internal/pytorch/run.mjs --python PATH/bin/python (with torch and transformers) [--fixtures packages/models/test/fixtures]

import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { build } from 'esbuild'

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url))
const { values } = parseArgs({
  options: {
    python: { type: 'string', default: 'python3' },
    fixtures: { type: 'string', default: here('../../packages/models/test/fixtures') },
  },
})
const root = mkdtempSync(join(tmpdir(), 'attune-pytorch-'))
const [script, target] = [join(root, 'export.mjs'), join(root, 'folders')]
mkdirSync(target)
await build({
  entryPoints: [here('export.ts')],
  outfile: script,
  bundle: true,
  format: 'esm',
  platform: 'node',
  conditions: ['attune-source'],
})
const run = (/** @type {string} */ program, /** @type {string[]} */ args) =>
  spawnSync(program, args, { stdio: 'inherit', env: { ...process.env, HF_HUB_OFFLINE: '1' } }).status ?? 1
process.exitCode = run(process.execPath, [script, resolve(values.fixtures), target]) || run(values.python, [here('logits.py'), target])
rmSync(root, { recursive: true })
