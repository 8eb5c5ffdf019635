// Bundled into one file and run by the Node of any platform: every op of the case table on the prebuilt addon, with each instruction
// set that the processor has, against the reference; then memory, a mapped file and an abort.
import { deepStrictEqual, ok, strictEqual } from 'node:assert'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CpuDevice, cpu } from '@attune/backend-cpu'
import { reference } from '@attune/tensor'
import { caseMaker, nmse, type OpCase, opCases, poisoned } from '@attune/testing'
import { runOn } from '../../packages/testing/src/run-on.ts'

const expected = process.argv[2]
const first = await cpu({ threads: 2 })
const { backend, addon, native, reasons } = first.doctor()
strictEqual(backend, 'native', reasons.join('; '))
strictEqual(addon, expected)
await memory(first)
const file = await mapped(first)
await first.close()
rmSync(file)

let passed = 0
for (const { name, built, supported } of native) {
  if (!built || !supported) continue
  const device = await cpu({ backend: 'native', isa: name, threads: 2 })
  for (const c of opCases) await compare(device, c)
  await device.close()
}
const sets = native.filter(n => n.built && n.supported).map(n => n.name)
console.log(`${addon}: ${passed} passed on ${sets.join(', ')}, Node ${process.version} ${process.platform} ${process.arch}`)

async function compare(device: CpuDevice, c: OpCase): Promise<void> {
  const maker = caseMaker(11)
  const outputs = c.build(maker)
  const lengths = c.lengths ?? {}
  const inputs = maker.inputs(lengths)
  const want = await runOn(reference(), outputs, lengths, inputs)
  const got = await runOn(poisoned(device), outputs, lengths, inputs)
  for (const key of Object.keys(outputs)) {
    deepStrictEqual(got[key].shape, want[key].shape, `${c.name}: ${key}`)
    if (want[key].dtype === 'i32') deepStrictEqual([...got[key].data], [...want[key].data], `${c.name}: ${key}`)
    else {
      const error = nmse(got[key].data, want[key].data)
      ok(error <= (c.bound ?? 1e-9), `${c.name}: ${key}: NMSE ${error} with ${device.name}`)
    }
    passed++
  }
}

async function memory(device: CpuDevice): Promise<void> {
  for (const bytes of [1000, 2 ** 16, 2 ** 24]) {
    const b = device.alloc(bytes)
    await device.write(b, Uint8Array.of(1, 2, 3), bytes - 5)
    deepStrictEqual([...(await device.read(b, bytes - 7, 7))], [0, 0, 1, 2, 3, 0, 0])
    device.free(b)
  }
}

/** A file whose name is not ASCII, read from the middle of a page. */
async function mapped(device: CpuDevice): Promise<string> {
  const path = join(tmpdir(), `attune-é-${process.pid}.bin`)
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * 7) % 251)
  writeFileSync(path, bytes)
  const b = await device.mapFile(path, 70_001, 100_000)
  deepStrictEqual(await device.read(b, 0, 100_000), bytes.slice(70_001, 170_001))
  device.free(b)
  return path
}
