import { execFile } from 'node:child_process'
import { cp } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium, whyNoChromium } from '../browser/chromium.ts'
import { serve } from '../browser/serve.ts'
import { root } from '../lib/workspace.mjs'

/** The project in which the packed packages are installed; whether the prebuilt addon is among them. */
const project = process.env.ATTUNE_OUTSIDE!
const native = process.env.ATTUNE_OUTSIDE_ADDON

interface Answer {
  readonly text: string
  readonly doctor: { readonly backend: string; readonly addon?: string; readonly threads: number; readonly reasons: readonly string[] }
}

const toy = join(root, 'apps/cli/assets/toy')
let wasm: Answer
let browser: Browser

async function node(...args: string[]): Promise<string> {
  const { ATTUNE_ADDON: _, ...env } = process.env
  return (await promisify(execFile)(process.execPath, args, { cwd: project, env })).stdout
}

beforeAll(async () => {
  wasm = JSON.parse(await node('node.mjs', 'wasm', toy))
  await cp(toy, join(project, 'public/toy'), { recursive: true })
  await node('node_modules/vite/bin/vite.js', 'build', '--logLevel', 'warn')
  if (!whyNoChromium) browser = await launchChromium()
})
afterAll(() => browser?.close())

test('Node, WebAssembly', () => {
  expect(wasm.text.length).toBeGreaterThan(16)
  expect(wasm.doctor).toMatchObject({ backend: 'wasm', threads: 2 })
})

test('Node, the native addon of the prebuilt package', async ({ skip }) => {
  skip(!native, 'no addon could be built here')
  const { text, doctor } = JSON.parse(await node('node.mjs', 'native', toy)) as Answer
  expect(text).toBe(wasm.text)
  expect(doctor).toMatchObject({ backend: 'native', addon: native })
})

test.for([
  { name: 'workers', isolated: true },
  { name: 'not cross-origin isolated, one thread', isolated: false },
])('a page that Vite built: $name', async ({ isolated }, { skip }) => {
  skip(whyNoChromium !== undefined, whyNoChromium)
  const server = await serve(join(project, 'dist'), isolated)
  const tab = await browser.newPage()
  const errors: string[] = []
  tab.on('pageerror', error => errors.push(String(error)))
  tab.on('console', message => message.type() === 'error' && errors.push(message.text()))
  await tab.goto(server.url)
  await tab.waitForFunction(() => 'answer' in globalThis)
  const { text, doctor } = await tab.evaluate(() => (globalThis as unknown as { answer(): Promise<Answer> }).answer())
  await tab.close()
  await server.close()
  expect(errors).toEqual([])
  expect(text).toBe(wasm.text)
  expect(doctor).toMatchObject({ backend: 'wasm', threads: isolated ? 2 : 1 })
})
