import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { floats, readSafetensors } from '@attune/weights'
import { fileSource } from '@attune/weights/node'
import { expect, it } from 'vitest'
import { useSwiftShader, whyNoVulkan } from '../../../internal/vulkan/swiftshader.ts'
import { main } from './cli.ts'
import { testIo } from './test-io.ts'

const model = new URL('../../../packages/models/test/fixtures/llama-gqa-tied', import.meta.url).pathname

it.skipIf(whyNoVulkan)(`--device webgpu explains and runs a model${whyNoVulkan ? `: ${whyNoVulkan}` : ''}`, async () => {
  await useSwiftShader()
  const asked = testIo()
  expect(await main(['explain', model, '--device', 'webgpu', '--json'], asked), asked.errors).toBe(0)
  const { device, ops } = JSON.parse(asked.output)
  expect(device).toBe('webgpu (google swiftshader)')
  expect(ops.find((o: { op: string }) => o.op === 'attend')).toMatchObject({ by: 'attend' })

  const dir = await mkdtemp(join(tmpdir(), 'attune-'))
  const out = join(dir, 'out.safetensors')
  const run = testIo()
  const inputs = ['--inputs', join(model, 'golden.json'), '--out', out]
  expect(await main(['logits', model, ...inputs, '--device', 'webgpu'], run), run.errors).toBe(0)
  const [got, want] = await Promise.all([out, join(model, 'golden.safetensors')].map(logitsOf))
  expect(want.length).toBeGreaterThan(0)
  expect(got.length).toBe(want.length)
  for (let i = 0; i < want.length; i++) expect(Math.abs(got[i] - want[i])).toBeLessThan(2e-4)
  await rm(dir, { recursive: true })
})

async function logitsOf(file: string): Promise<Float32Array> {
  const source = await fileSource(file)
  const { tensors } = await readSafetensors(source)
  const logits = await floats(tensors.get('A.logits')!)
  await source.close()
  return logits
}
