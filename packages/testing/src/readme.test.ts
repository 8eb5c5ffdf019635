import { readFileSync } from 'node:fs'
import { cpu } from '@attune/backend-cpu'
import { mapWith } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { testOp } from './index.ts'

const text = (path: string): string => readFileSync(new URL(path, import.meta.url), 'utf8')

describe('README', () => {
  it('shows the test of a variant that is run against the packed packages', () => {
    const variant = '../../../internal/third-party/key-heavy/key-heavy'
    expect(text('../README.md')).toContain(`\`\`\`ts\n${text(`${variant}.test.ts`)}\`\`\``)
    expect(text('../README.md')).toContain(`${text(`${variant}.ts`).trimEnd().split('\n').length} lines of source`)
  })
  it('squares', async () => {
    const device = await cpu()
    await testOp(device, { name: 'square', gradients: true, build: make => ({ out: mapWith(x => x.mul(x), [make.floats([3, 65])]) }) })
    await device.close()
  })
  it('names every suite that is exported', async () => {
    for (const name of Object.keys(await import('./index.ts')).filter(n => n.startsWith('test')))
      expect(text('../README.md')).toContain(`\`${name}(`)
  })
})
