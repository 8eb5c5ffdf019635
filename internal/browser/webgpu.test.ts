import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { floats, readSafetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { build } from 'esbuild'
import { expect, test } from 'vitest'
import { root } from '../lib/workspace.mjs'
import { launchChromium, whyNoChromium } from './chromium.ts'
import { serve } from './serve.ts'
import type { WebGpuPage } from './webgpu-page.ts'

const minutes = 60_000
const fixture = join(root, 'packages/models/test/fixtures/llama-gqa-tied')

declare const page: WebGpuPage

test('a page answers on WebGPU as transformers does', { timeout: 10 * minutes }, async ({ skip }) => {
  skip(whyNoChromium !== undefined, whyNoChromium)
  await mkdir(join(root, 'internal/.cache'), { recursive: true })
  const folder = await mkdtemp(join(root, 'internal/.cache/webgpu-'))
  await cp(fixture, join(folder, 'model'), { recursive: true })
  await writeFile(
    join(folder, 'index.html'),
    '<!doctype html><link rel="icon" href="data:,"><script type="module" src="page.js"></script>\n',
  )
  await build({
    entryPoints: [join(root, 'internal/browser/webgpu-page.ts')],
    outfile: join(folder, 'page.js'),
    ...{ bundle: true, format: 'esm', target: 'es2022', platform: 'browser', conditions: ['attune-source'], logLevel: 'silent' },
  })
  const server = await serve(folder, false)
  const browser = await launchChromium({ webgpu: true })
  try {
    const golden = JSON.parse(await readFile(join(fixture, 'golden.json'), 'utf8'))
    const tab = await browser.newPage()
    const errors: string[] = []
    tab.on('pageerror', error => errors.push(String(error)))
    await tab.goto(server.url)
    await tab.waitForFunction(() => 'page' in globalThis)
    const got = await tab.evaluate(([prompt, n]) => page.answer('/model', prompt, n), [golden.inputs.A.input_ids[0], 8] as [
      number[],
      number,
    ])
    expect(errors).toEqual([])
    expect(got.device).toMatch(/^webgpu/)
    expect(got.ids).toEqual(golden.greedy.ids.slice(0, 8))
    const want = await logitsOf(join(fixture, 'golden.safetensors'))
    expect(got.logits.length).toBe(want.length)
    expect(got.logits.reduce((worst, x, i) => Math.max(worst, Math.abs(x - want[i])), 0)).toBeLessThan(2e-4)
  } finally {
    await browser.close()
    await server.close()
    await rm(folder, { recursive: true, force: true })
  }
})

async function logitsOf(file: string): Promise<Float32Array> {
  const source = await fileSource(file)
  const { tensors } = await readSafetensors(source)
  const logits = await floats(tensors.get('A.logits')!)
  await source.close()
  return logits
}
