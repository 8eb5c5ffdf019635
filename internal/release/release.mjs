// Everything that a release publishes, packed into out/release: `npm run release`. `npm run release -- --publish` also publishes what the
// registry does not have yet, prebuilt addons first, and tags the versions.
import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { buildPrebuilt } from '../../packages/backend-cpu/build/prebuilt.mjs'
import { packInto } from '../lib/pack.mjs'
import { root } from '../lib/workspace.mjs'
import { npm, pnpm, run } from '../setup/run.mjs'

const say = (/** @type {string} */ line) => console.log(line)
const out = join(root, 'out/release')
const publish = process.argv.includes('--publish')

const pending = readdirSync(join(root, '.changeset')).filter(name => name.endsWith('.md') && name !== 'README.md')
if (publish && pending.length > 0)
  throw new Error(`there are changes without a version (${pending.join(', ')}): npm run version comes first`)

rmSync(out, { recursive: true, force: true })
mkdirSync(out, { recursive: true })
await must(run({ file: process.execPath, args: [join(root, 'packages/backend-cpu/build/build.mjs'), '--wasm-only'] }))
const addons = await buildPrebuilt({ say })
for (const folder of addons) await must(run(npm(['pack', folder, '--pack-destination', out])))
const prebuilt = readdirSync(out).map(name => join(out, name))
const files = [...prebuilt, ...(await packInto(out)).map(p => p.file)]
for (const file of files) say(file)

if (publish) {
  for (const file of files) {
    const { code, output } = await run(npm(['publish', file, '--access', 'public']))
    const there = /cannot publish over|previously published/i.test(output)
    if (code !== 0 && !there) throw new Error(`${file} was not published:\n${output}`)
    say(`${there ? 'there already' : 'published'}: ${file}`)
  }
  await must(run(pnpm(['changeset', 'tag'])))
}

/** @param {Promise<{ code: number, output: string }>} running */
async function must(running) {
  const { code, output } = await running
  if (code !== 0) throw new Error(output)
}
