import { execFile, spawn } from 'node:child_process'
import { cp, readFile, writeFile } from 'node:fs/promises'
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

/** What the README of backend-cpu tells users of Vite to write. */
async function viteConfig(): Promise<string> {
  const readme = await readFile(join(root, 'packages/backend-cpu/README.md'), 'utf8')
  return /^```js\n(\/\/ vite\.config\.js\n.*?)^```$/ms.exec(readme)![1]
}

/** Vite's development server. */
async function develop(): Promise<{ url: string; close(): Promise<void> }> {
  const args = ['node_modules/vite/bin/vite.js', '--host', '127.0.0.1', '--port', '5291']
  const child = spawn(process.execPath, args, { cwd: project, env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' } })
  const url = await new Promise<string>((done, fail) => {
    let said = ''
    child.on('close', code => fail(new Error(`Vite ended with ${code}: ${said}`)))
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', text => {
        said += text
        const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(said)
        if (found) done(found[0])
      })
  })
  return { url, close: async () => void child.kill() }
}

beforeAll(async () => {
  wasm = JSON.parse(await node('node.mjs', 'wasm', toy))
  await cp(toy, join(project, 'public/toy'), { recursive: true })
  await writeFile(join(project, 'vite.config.js'), await viteConfig())
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
  { name: 'built, with workers', threads: 2, open: () => serve(join(project, 'dist'), true) },
  { name: 'built, not cross-origin isolated, one thread', threads: 1, open: () => serve(join(project, 'dist'), false) },
  { name: 'by the development server', threads: 2, open: develop },
])('a page of Vite, $name', async ({ threads, open }, { skip }) => {
  skip(whyNoChromium !== undefined, whyNoChromium)
  const server = await open()
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
  expect(doctor).toMatchObject({ backend: 'wasm', threads })
})
