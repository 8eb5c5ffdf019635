import {
  bytesOf,
  Constant,
  call,
  constantTensor,
  copyOf,
  type Dense,
  elements,
  isCodec,
  type Kernel,
  type Length,
  readDense,
  record,
  reference,
  rowMajor,
  type Storage,
  state,
  type Tensor,
} from '@attune/tensor'
import { afterAll, describe, expect } from 'vitest'
import type { CpuDevice, CpuOptions } from '../src/index.ts'
import { openCpu } from './devices.ts'
import { type PlanCase, type PlanInput, runPlan } from './run-plan.ts'

/** Runs `suite` once per build of the kernels this machine can run: every instruction set of the addon, and WebAssembly. */
export function onEveryBuild(suite: (open: () => Promise<CpuDevice>) => void): void {
  const sets: { name: string; options: CpuOptions }[] = [
    ...(process.arch === 'x64' ? ['avx512', 'avx2', 'sse2'] : ['neon']).map(isa => ({ name: isa, options: { isa, threads: 2 } })),
    { name: 'wasm', options: { backend: 'wasm', threads: 2 } },
  ]
  for (const { name, options } of sets)
    describe(name, () => {
      let device: Promise<CpuDevice> | undefined
      afterAll(async () => (await device)?.close())
      suite(async () => {
        device ??= openCpu(options).catch(error => {
          if (/this processor has no/.test(String(error))) return openCpu({ ...options, isa: undefined })
          throw error
        })
        return device
      })
    })
}

export interface Tolerance {
  /** Of the largest expected magnitude. */
  readonly relative?: number
  readonly absolute?: number
}

/** Runs a case through the kernel's plan on poisoned outputs and through the op's meaning on the reference device; they must agree. */
export async function expectReference(device: CpuDevice, kernel: Kernel, test: PlanCase, tolerance: Tolerance = {}): Promise<void> {
  const [got, want] = [await runPlan(device, kernel, test), await expected(kernel, test)]
  const n = test.lengths ?? new Map()
  got.forEach((o, i) => {
    const bytes = new Uint8Array(o.data.buffer, o.data.byteOffset, o.data.byteLength)
    const have = readDense({ dtype: o.dtype, shape: o.shape, strides: rowMajor(o.shape), offset: 0 }, bytes, n)
    expect(have.shape).toEqual(want[i].shape)
    close(have.data, want[i].data, tolerance, `output ${i} of ${kernel.name}`)
  })
}

/** Fails on the first value that differs by more than the tolerance; NaN equals NaN only. */
export function close(have: Dense['data'], want: Dense['data'], { relative = 0, absolute = 0 }: Tolerance, what: string): void {
  expect(have.length).toBe(want.length)
  let size = 0
  for (const x of want) if (Number.isFinite(x)) size = Math.max(size, Math.abs(x))
  const bound = absolute + relative * size
  for (let i = 0; i < want.length; i++)
    if (!(Object.is(have[i], want[i]) || have[i] === want[i] || Math.abs(have[i] - want[i]) <= bound))
      throw new Error(`${what}[${i}] is ${have[i]}, the reference gives ${want[i]} (bound ${bound})`)
}

/** What the op means on the reference device. */
export async function expected(kernel: Kernel, { inputs, attrs, lengths = new Map() }: PlanCase): Promise<Dense[]> {
  const device = reference()
  const states: Record<string, ReturnType<typeof device.alloc>> = {}
  const leaves = await Promise.all(inputs.map((x, i) => (kernel.op.alias?.includes(i) ? mutable(x, `s${i}`) : leafOf(x))))
  async function mutable(x: PlanInput, name: string): Promise<Tensor> {
    states[name] = device.alloc(x.data.byteLength)
    await device.write(states[name], bytesIn(x))
    return state(name, x.dtype, x.shape)
  }
  const outputs = Object.fromEntries(call(kernel.op, leaves, attrs).map((t, i) => [`out${i}`, t]))

  const named = Object.fromEntries([...lengths].map(([l, n]: [Length, number]) => [l.name, n]))
  const recording = await record(device, { outputs })
  await recording.run({ lengths: named, states })
  const out = await Promise.all(Object.keys(outputs).map(name => recording.read(name)))
  recording.dispose()
  return out
}

const bytesIn = ({ data }: PlanInput): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength)

function leafOf(x: PlanInput): Tensor {
  const bytes = bytesIn(x)
  const n = isCodec(x.dtype) ? (bytes.byteLength / x.dtype.bytes) * x.dtype.block : bytes.byteLength / bytesOf(x.dtype, 1)
  return constantTensor(new Constant(x.dtype, [n], bytes)).view(x.shape, x.strides ?? rowMajor(x.shape), x.offset ?? 0)
}

/** Reproducible numbers around zero. */
export function numbers(n: number, seed = 1, scale = 2): Float32Array {
  let s = seed * 2654435761
  return Float32Array.from({ length: n }, () => {
    s = (Math.imul(s ^ (s >>> 15), 2246822519) + 0x9e3779b9) | 0
    return (((s >>> 8) / 2 ** 24) * 2 - 1) * scale
  })
}
export const integers = (n: number, below: number, seed = 1): Int32Array =>
  Int32Array.from(numbers(n, seed, 1), x => Math.min(below - 1, Math.floor(((x + 1) / 2) * below)))
export const f32s = (shape: PlanInput['shape'], seed = 1): PlanInput => ({ dtype: 'f32', shape, data: numbers(elements(shape), seed) })
export const i32s = (shape: PlanInput['shape'], data: ArrayLike<number>): PlanInput => ({
  dtype: 'i32',
  shape,
  data: Int32Array.from(data),
})

/** Values encoded the way a storage type keeps them. */
export async function stored(dtype: Storage, shape: PlanInput['shape'], values: Float32Array): Promise<PlanInput> {
  if (isCodec(dtype)) {
    const data = new Uint8Array(bytesOf(dtype, values.length))
    dtype.encode!(values, data)
    return { dtype, shape, data }
  }
  const device = reference()
  const t = constantTensor(new Constant('f32', [values.length], new Uint8Array(values.buffer, values.byteOffset, values.byteLength)))
  const recording = await record(device, { outputs: { t: copyOf(t, dtype) } })
  await recording.run()
  const { buffer, offset } = recording.location('t')
  return { dtype, shape, data: await device.read(buffer, offset, bytesOf(dtype, values.length)) }
}
