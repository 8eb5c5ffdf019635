import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openModel } from '@attune/weights/node'
import { createAttune } from 'attune'
import { expect, it } from 'vitest'
import { shrink } from './shrink.ts'

const at = (path: string) => fileURLToPath(new URL(`../../../${path}`, import.meta.url))

it('runs the example of the README on the toy', async () => {
  const out = join(await mkdtemp(join(tmpdir(), 'attune-')), 'small')
  const said: string[] = []
  await shrink(at('apps/cli/assets/toy'), at('apps/cli/assets/opticks.txt'), out, line => void said.push(line))
  expect(said[0]).toMatch(/^layers [\d,]+: mean KL 0\.\d+, worst layer 0\.\d+/)
  expect(said[1]).toMatch(/^KV bytes per token: 2560 → \d+$/)
  expect(said.length).toBeGreaterThan(10)
  const kit = await createAttune({ open: openModel })
  const again = await kit.model(await kit.open(out))
  expect(again.spec.layers.filter(l => l.attention.variant === 'mqa').length).toBeGreaterThan(0)
  await kit.close()
  await rm(join(out, '..'), { recursive: true })
})

it('is what the README shows', async () => {
  const [readme, example] = await Promise.all([readFile(at('README.md'), 'utf8'), readFile(at('packages/attune/test/shrink.ts'), 'utf8')])
  expect(readme).toContain(`\`\`\`ts\n${example}\`\`\``)
})
