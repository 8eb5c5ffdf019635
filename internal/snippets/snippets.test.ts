import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { root } from '../lib/workspace.mjs'
import { whyNoVulkan } from '../vulkan/swiftshader.ts'
import { type Block, blocksOf, isModule, isTest, type Module, moduleCode, pages, steps } from './blocks.ts'
import { elsewhere } from './elsewhere.ts'
import { runShell } from './shell.ts'
import { typeErrors } from './types.ts'
import { openGpu } from './web.ts'
import { workplace } from './workplace.ts'

/**
 * Runs every snippet of the README files and of docs, in order, in a folder of its page. A block continues the one above unless it is a
 * test or imports a name again; `file=NAME` after the language makes it a file; `value // → JSON` is checked; tests are tests here. Models
 * come from a hub on loopback. `elsewhere.ts` lists the few that run in another test.
 */
const place = await workplace()
await openGpu()
const typed: string[] = []
const quiet = () => {
  for (const name of ['log', 'warn', 'error'] as const) vi.spyOn(console, name).mockImplementation(() => {})
}
Object.assign(globalThis, {
  claim: (value: unknown, json: string) => expect(JSON.parse(JSON.stringify(value)), json).toEqual(JSON.parse(json)),
})
afterAll(async () => {
  vi.restoreAllMocks()
  await place.close()
})

/** Where no GPU can be had, not even SwiftShader, what opens one does not run. */
const lacksGpu = (code: string): boolean => whyNoVulkan !== undefined && /webgpu\(|--device webgpu/.test(code)
const isElsewhere = (block: Block) => elsewhere.some(e => e.page === block.page && block.code.startsWith(e.start))
const pagesWithBlocks = pages().filter(page => blocksOf(page).length > 0)

describe.each(pagesWithBlocks)('%s', async page => {
  const folder = await place.folder(page)
  const blocks = blocksOf(page)
  beforeAll(() => process.chdir(folder))
  for (const block of blocks.filter(b => b.file)) {
    await mkdir(dirname(join(folder, block.file!)), { recursive: true })
    await writeFile(join(folder, block.file!), block.code)
  }
  for (const [i, step] of steps(blocks.filter(b => !isElsewhere(b))).entries()) {
    if (isModule(step)) await module(step, join(folder, `snippet-${i}.${step.lang}`))
    else it.skipIf(lacksGpu(step.code))(`${step.lang} of line ${step.line}`, () => run(step), 120_000)
  }
})

async function module(step: Module, path: string): Promise<void> {
  const code = moduleCode(step)
  await writeFile(path, code)
  if (step.lang === 'ts') typed.push(path)
  const title = `${step.lang} of line ${step.blocks[0].line}`
  if (isTest(code)) await describe(title, () => import(/* @vite-ignore */ path))
  else
    it(title, async () => {
      quiet()
      await expect(import(/* @vite-ignore */ path)).resolves.toBeDefined()
    }, 180_000)
}

async function run({ lang, code }: Block): Promise<void> {
  quiet()
  if (lang === 'sh') return runShell(code)
  if (lang === 'json') return void expect(JSON.parse(code)).toBeDefined()
  expect.unreachable(`nothing runs a block of '${lang}'`)
}

it('every TypeScript snippet has types', () => expect(typeErrors(typed)).toEqual([]), 180_000)

it('what runs elsewhere is there and is run', async () => {
  for (const { page, start, by } of elsewhere) {
    expect(blocksOf(page).filter(b => b.code.startsWith(start))).toHaveLength(1)
    expect(await readFile(join(root, by), 'utf8')).toContain(/[\w.]+$/.exec(start)![0])
  }
  expect(elsewhere.length).toBeLessThan(4)
})
