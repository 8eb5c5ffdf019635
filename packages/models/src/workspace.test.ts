import { layout, memorySource, rule, split, type TensorEntry, tensorEntry, transpose } from '@attune/weights'
import { expect, it } from 'vitest'
import { Workspace } from './workspace.ts'

const rules = layout([rule('{i}.qkv', ['{i}.q', '{i}.k', '{i}.v'], transpose(), split(0, [2, 2, 2]))])
const entry = (name: string, first: number): { tensor: TensorEntry; reads: () => number } => {
  const values = Float32Array.from({ length: 24 }, (_, i) => first + i) // (4, 6)
  const tensor = tensorEntry(memorySource(name, new Uint8Array(values.buffer)), { name, dtype: 'f32', shape: [4, 6], byteOffset: 0 })
  let reads = 0
  return {
    reads: () => reads,
    tensor: {
      ...tensor,
      readInto(target, signal) {
        reads++
        return tensor.readInto(target, signal)
      },
    },
  }
}
/** Rows 2i and 2i + 1 of the matrix on its side. */
const part = (first: number, i: number) => [0, 1].flatMap(r => [0, 1, 2, 3].map(c => first + 6 * c + 2 * i + r))

it('makes the parameters of a tensor from one reading, beside each other and one after the other', async () => {
  const workspace = new Workspace()
  const [a, b] = [entry('0.qkv', 100), entry('1.qkv', 500)]
  const [first, second] = rules.load(['0.qkv', '1.qkv'])
  const take = async (assignment: typeof first, { tensor }: ReturnType<typeof entry>, name: string, pause = 0): Promise<number[]> => {
    const out: number[] = []
    for await (const piece of workspace.pieces(assignment, [tensor], name, false)) {
      await new Promise(r => setTimeout(r, pause)) // others make theirs meanwhile
      out.push(...new Float32Array(piece.slice().buffer))
    }
    return out
  }
  for (const [i, name] of ['q', 'k', 'v'].entries()) expect(await take(first, a, `0.${name}`)).toEqual(part(100, i))
  expect(a.reads()).toBe(1)
  const names = ['v', 'q', 'k', 'q', 'v']
  const got = await Promise.all(
    names.flatMap((name, i) => [take(first, a, `0.${name}`, 20 - i), take(second, b, `1.${name}`, i), take(first, a, `0.${name}`, i)]),
  )
  const at = (name: string) => ['q', 'k', 'v'].indexOf(name)
  expect(got).toEqual(names.flatMap(name => [part(100, at(name)), part(500, at(name)), part(100, at(name))]))
})

it('reads again after a failure', async () => {
  const workspace = new Workspace()
  const { tensor } = entry('0.qkv', 0)
  const [assignment] = rules.load(['0.qkv'])
  let broken = true
  const flaky: TensorEntry = { ...tensor, readInto: (...to) => (broken ? Promise.reject(new Error('broken')) : tensor.readInto(...to)) }
  const read = () => workspace.pieces(assignment, [flaky], '0.q', false).next()
  await expect(read()).rejects.toThrow('broken')
  broken = false
  const { value } = await read()
  expect([...new Float32Array(value!.slice().buffer)]).toEqual(part(0, 0))
})
