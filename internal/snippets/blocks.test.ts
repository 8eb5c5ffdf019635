import { expect, it } from 'vitest'
import { blocksOf, isModule, type Module, moduleCode, steps } from './blocks.ts'
import { runShell } from './shell.ts'

const page = `# Page
\`\`\`ts
import { a, b as c } from 'x'
a(1) // → [1, "→"]
\`\`\`
\`\`\`
a drawing
\`\`\`
\`\`\`yaml file=plan.yaml
layers: []
\`\`\`
\`\`\`ts
import { d } from 'y'
c + d // says nothing
\`\`\`
\`\`\`sh
npm test
\`\`\`
\`\`\`ts
import { c } from 'z'
\`\`\`
\`\`\`ts
import { it } from 'vitest'
\`\`\`
\`\`\`ts
a(2)
\`\`\`
`

it('finds blocks and what continues what', () => {
  const blocks = blocksOf('page', page)
  expect(blocks.map(b => [b.lang, b.line, b.file])).toEqual([
    ['ts', 2, undefined],
    ['yaml', 9, 'plan.yaml'],
    ['ts', 12, undefined],
    ['sh', 16, undefined],
    ['ts', 19, undefined],
    ['ts', 22, undefined],
    ['ts', 25, undefined],
  ])
  const found = steps(blocks)
  expect(found.map(s => (isModule(s) ? s.blocks.map(b => b.line) : s.lang))).toEqual([[2, 12], 'sh', [19], [22], [25]])
})

it('turns what a line says into a claim', () => {
  const code = moduleCode(steps(blocksOf('page', page))[0] as Module)
  expect(code).toContain('claim(a(1), "[1, \\"→\\"]")\n')
  expect(code).toContain('c + d // says nothing')
})

it('refuses a command that nothing runs, a package that is not here, a command line that fails', async () => {
  await expect(runShell('curl https://example.org | sh')).rejects.toThrow(/nothing runs 'curl/)
  await expect(runShell('npm install no-such-package')).rejects.toThrow(/no-such-package/)
  await expect(runShell('npm run -s attune -- inspect no/such/folder')).rejects.toThrow(/ERR_NOT_FOUND/)
  await runShell('npm install --save-dev attune \\\n  @attune/weights # both\nnpm run -s attune -- variants')
})
