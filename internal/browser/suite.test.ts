import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { build } from 'esbuild'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { root } from '../lib/workspace.mjs'
import { launchChromium, whyNoChromium } from './chromium.ts'
import { serve } from './serve.ts'
import type { SuitePage } from './suite-page.ts'

declare const page: SuitePage

const minutes = 60_000
let folder: string
let browser: Browser

beforeAll(async () => {
  if (whyNoChromium) return
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  folder = await mkdtemp(join(root, 'internal/.cache/suite-'))
  await writeFile(
    join(folder, 'index.html'),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="app/page.js"></script>\n',
  )
  const backend = join(root, 'packages/backend-cpu')
  for (const part of ['dist/wasm', 'worker']) await cp(join(backend, part), join(folder, part), { recursive: true })
  await build({
    entryPoints: [join(root, 'internal/browser/suite-page.ts')],
    outfile: join(folder, 'app/page.js'),
    alias: { vitest: join(root, 'internal/browser/page-vitest.ts') },
    ...{ bundle: true, format: 'esm', target: 'es2022', platform: 'browser', conditions: ['attune-source'], logLevel: 'silent' },
  })
  browser = await launchChromium()
}, 5 * minutes)

afterAll(async () => {
  await browser?.close()
  if (folder) await rm(folder, { recursive: true, force: true })
}, minutes)

test.skipIf(whyNoChromium).each([
  ['an isolated page', true, ['cpu (wasm relaxed-simd), 2', 'cpu (wasm simd128), 2'], 170],
  ['a page on its one thread', false, ['cpu (wasm relaxed-simd), 1'], 60],
] as const)('the conformance suites hold in Chromium: %s', { timeout: 15 * minutes }, async (_, isolated, opened, atLeast) => {
  const server = await serve(folder, isolated)
  const tab = await browser.newPage()
  tab.setDefaultTimeout(5 * minutes)
  const failures: string[] = []
  tab.on('pageerror', error => failures.push(String(error)))
  try {
    await tab.goto(server.url)
    await tab.waitForFunction(() => 'page' in globalThis)
    expect(await tab.evaluate(() => page.isolated)).toBe(isolated)
    const names = await tab.evaluate(() => [...page.names])
    expect(names.length).toBeGreaterThanOrEqual(atLeast)
    for (const [i, name] of names.entries()) {
      const wrong = await tab.evaluate(i => page.run(i), i)
      if (wrong !== undefined) failures.push(`${name}: ${wrong}`)
    }
    expect(failures).toEqual([])
    expect([...new Set(await tab.evaluate(() => [...page.opened]))].sort()).toEqual(opened)
    await tab.evaluate(() => page.close())
  } finally {
    await tab.close()
    await server.close()
  }
})
