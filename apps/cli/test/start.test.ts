import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { textsFor } from '../src/texts.ts'
import { attune, scratch, toy } from './cli.ts'

it('start runs the main job from end to end', async () => {
  const out = join(await scratch(), 'out')
  const { code, output, errors } = await attune(['start', '--model', toy, '--out', out, '--tokens', '12'])
  expect(code, errors).toBe(0)
  for (const part of ['1/5 Inspect', '2/5 Convert', '3/5 Generate side by side', '4/5 Measure', '5/5 Export', 'MHA is exact'])
    expect(output).toContain(part)
  for (const row of ['source', 'MHA', 'MQA mean-pool', 'MQA aligned', 'MQA least squares', 'plan'])
    expect(output).toMatch(new RegExp(`^${row} +\\S`, 'm'))
  expect(output).toMatch(/peak resident memory [\d.]+ MB/)
  const page = await readFile(join(out, 'report.html'), 'utf8')
  expect(page.match(/<svg/g)).toHaveLength(3)
  expect(page).not.toMatch(/\b(src|href)=|https?:|NaN|undefined/)
  const { json } = await attune(['inspect', out, '--json'])
  expect(json.kvBytesPerToken).toBeLessThan(2560)
})

it('cuts the built-in text into 2,048 tokens and two windows of 512 where it has 4,096', async () => {
  const tokenizer = { encode: () => Array.from({ length: 4096 }, (_, i) => i) } as unknown as Parameters<typeof textsFor>[0]
  const { calibration, held } = await textsFor(tokenizer, 8192)
  expect([calibration.length, calibration[0]]).toEqual([2048, 0])
  expect(held.map(w => [w[0], w.length])).toEqual([
    [2048, 512],
    [3072, 512],
  ])
  expect((await textsFor(tokenizer, 64)).held[1]).toHaveLength(64)
})
