import { concatOf, conv1dOf, layerNormOf, linearOf, matmulExpertsOf, rmsNormOf, ropeOf, sampleOf, softmaxOf } from '@attune/ops'
import {
  bytesOf,
  Constant,
  constantTensor,
  copyOf,
  type Dim,
  floatToBf16,
  floatToHalf,
  gatherRows,
  input,
  length,
  mapWith,
  matmulOf,
  max,
  q4_0,
  q4_1,
  q8_0,
  randomOf,
  type Storage,
  scatterRows,
  sum,
  type Tensor,
  tensor,
  topkOf,
} from '@attune/tensor'
import { attendCases } from './attend-cases.ts'
import { randomSource } from './random.ts'
import { scanCases } from './scan-cases.ts'

/** A graph to run on two devices. Inputs and states are random; `lengths` are the run's values. */
export interface OpCase {
  readonly name: string
  build(make: CaseMaker): Readonly<Record<string, Tensor>>
  readonly lengths?: Readonly<Record<string, number>>
  /** Largest NMSE per f32 output; integers must be equal. */
  readonly bound?: number
  /** Its gradients by every `floats` operand are compared too: with the reference device's, and those with differences. */
  readonly gradients?: true
}
/** Makes operands and remembers what they hold. */
export interface CaseMaker {
  floats(shape: readonly Dim[], scale?: number): Tensor
  integers(shape: readonly Dim[], below: number): Tensor
  /** A constant of any stored type. */
  stored(dtype: Storage, shape: readonly number[]): Tensor
}

const n = (name: string, max: number) => length(name, max)
const sizes = [0, 1, 2, 63, 64, 65]

/** The primitives and fused ops every device is tested with. The same table says what is supported and what is timed. */
export const opCases: readonly OpCase[] = [
  {
    name: 'map: broadcast, tables, index',
    gradients: true,
    build: m => ({ out: mapWith((a, b) => a.mul(b).add(a.tanh()).sub(b.abs().sqrt()), [m.floats([7, 1, 33]), m.floats([5, 33])]) }),
  },
  {
    name: 'concat: strided, of several heads',
    gradients: true,
    build: m => ({
      out: concatOf(m.floats([3, 5, 12]).slice(2, 0, 8), m.floats([5, 3, 4]).permute(1, 0, 2), m.floats([3, 1, 5]).expand([3, 5, 5])),
    }),
  },
  {
    name: 'map: comparisons and select',
    build: m => ({ out: mapWith((a, b) => a.gt(b).select(a, b.exp()), [m.floats([4, 65]), m.floats([65])]) }),
  },
  {
    name: 'reduce: sum and max over every axis',
    build: m => pick(m.floats([5, 6, 37]), x => ({ a: sum(x, 0), b: sum(x, 1), c: sum(x, 2, true), d: max(x, -1) })),
  },
  {
    name: 'matmul: batched, broadcast, transposed',
    gradients: true,
    build: m => ({
      a: matmulOf(m.floats([3, 17, 29]), m.floats([29, 31])),
      b: matmulOf(m.floats([2, 9, 40]), m.floats([2, 13, 40]).transpose()),
    }),
    bound: 1e-11,
  },
  {
    name: 'gather: rows, holes, packed',
    build: m =>
      pick(tensor([3, -1, 0, 6], [4], 'i32'), at => ({
        a: gatherRows(m.floats([7, 64]), at),
        b: gatherRows(m.stored(q4_1, [7, 64]), at),
        c: gatherRows(m.stored('f16', [7, 64]), at),
      })),
  },
  {
    name: 'scatter: set and add into a state',
    build: m =>
      pick(tensor([2, -1, 5], [3], 'i32'), at => ({
        a: copyOf(scatterRows(copyOf(m.floats([6, 11])), at, m.floats([3, 11]))),
        b: copyOf(scatterRows(copyOf(m.floats([6, 11])), at, m.floats([3, 11]), 'add')),
      })),
  },
  {
    name: 'copy: views, casts, packed',
    build: m => ({
      a: copyOf(m.floats([6, 8, 5]).permute(2, 0, 1)),
      b: copyOf(copyOf(m.floats([40]), 'f16')),
      c: copyOf(copyOf(m.floats([40]), 'bf16')),
      d: copyOf(m.stored(q8_0, [3, 64])),
      e: copyOf(m.stored(q4_0, [3, 64])),
      f: copyOf(m.floats([9, 12]).slice(1, 3, 10)),
    }),
  },
  {
    name: 'copy and scatter: into packed and half types',
    // One code may fall on the other side of a half.
    bound: 1e-4,
    build: m =>
      pick(tensor([2, -1, 0, 2], [4], 'i32'), at => ({
        ...Object.fromEntries([q4_0, q4_1, q8_0].map(t => [t.name, copyOf(copyOf(m.floats([3, 2, 96]).permute(1, 0, 2), t))])),
        ...Object.fromEntries(
          [q4_0, q4_1, q8_0].flatMap(t =>
            [32, 64].map(width => [`${t.name} ${width}`, copyOf(scatterRows(copyOf(m.floats([4, width]), t), at, m.floats([4, width])))]),
          ),
        ),
        ...Object.fromEntries(
          (['f16', 'bf16'] as const).flatMap(t =>
            [5, 6].map(width => [`${t} ${width}`, copyOf(scatterRows(copyOf(m.floats([4, width]), t), at, m.floats([4, width]), 'add'))]),
          ),
        ),
      })),
  },
  { name: 'topk', build: m => pick(topkOf(m.floats([5, 77]), 4), t => ({ values: t.values, indices: t.indices })) },
  { name: 'random', build: () => ({ out: randomOf(tensor([7, -3], [2], 'i32'), [3, 21]) }) },
  {
    name: 'norms and softmax',
    gradients: true,
    build: m =>
      pick(m.floats([6, 48]), x => ({
        a: rmsNormOf(x, m.floats([48]), 1e-5),
        b: layerNormOf(x, m.floats([48]), m.floats([48]), 1e-5),
        c: softmaxOf(x),
      })),
  },
  {
    name: 'rope: half, interleaved, partial',
    gradients: true,
    build: m =>
      pick(m.integers([5], 900), p => ({
        a: ropeOf(m.floats([5, 3, 16]), p, frequencies(8)),
        b: ropeOf(m.floats([5, 3, 16]), p, frequencies(8), { pairing: 'interleaved' }),
        c: ropeOf(m.floats([5, 3, 16]), p, frequencies(4), { factor: 1.2 }),
      })),
    bound: 1e-8,
  },
  {
    name: 'conv1d: rows of unlike lengths, one without tokens',
    gradients: true,
    build: m =>
      pick(
        conv1dOf({
          x: m.floats([9, 6]),
          weight: m.floats([6, 4]),
          tail: m.floats([4, 3, 6]),
          offsets: tensor([0, 5, 5, 6, 9], [5], 'i32'),
          bias: m.floats([6]),
        }),
        r => ({ out: r.out, tail: r.tail }),
      ),
    bound: 1e-11,
  },
  ...sizes.map(
    (t): OpCase => ({
      name: `linear: f32, ${t} rows`,
      lengths: { t },
      gradients: t === 2 ? true : undefined,
      build: m => ({ out: linearOf(m.floats([n('t', 65), 96]), m.stored('f32', [70, 96]), m.floats([70])) }),
      bound: 1e-11,
    }),
  ),
  ...(['f16', 'bf16'] as const).map(
    (d): OpCase => ({
      name: `linear: ${d} weight`,
      build: m => ({ out: linearOf(m.floats([9, 64]), m.stored(d, [33, 64])) }),
      bound: 1e-11,
    }),
  ),
  // Packed weights may meet activations rounded to 8 bits.
  ...[q4_0, q4_1, q8_0].map(
    (d): OpCase => ({
      name: `linear: ${d.name} weight`,
      build: m => ({ out: linearOf(m.floats([9, 64]), m.stored(d, [33, 64])) }),
      bound: 2e-4,
    }),
  ),
  ...sizes.map(
    (t): OpCase => ({
      name: `matmulExperts: f32, ${t} tokens`,
      lengths: { t },
      gradients: t === 2 ? true : undefined,
      build: m =>
        pick(n('t', 65), rows => {
          const routes = m.integers([rows, 2], 5)
          const weight = m.stored('f32', [5, 24, 40])
          const hidden = matmulExpertsOf({ x: m.floats([rows, 40]), weight, routes, bias: m.floats([5, 24]) })
          return { hidden, out: matmulExpertsOf({ x: hidden, weight: m.stored('f32', [5, 40, 24]), routes }) }
        }),
      bound: 1e-11,
    }),
  ),
  ...(['f16', 'bf16', q4_0, q4_1, q8_0] as Storage[]).map(
    (d): OpCase => ({
      name: `matmulExperts: ${typeof d === 'string' ? d : d.name} weights`,
      build: m => ({ out: matmulExpertsOf({ x: m.floats([9, 64]), weight: m.stored(d, [6, 33, 64]), routes: m.integers([9, 3], 6) }) }),
      bound: 2e-4,
    }),
  ),
  ...attendCases(),
  ...scanCases(),
  {
    name: 'sample: greedy and drawn',
    build: m =>
      pick(
        sampleOf(m.floats([3, 200], 3), {
          options: tensor([0, 0, 1, 0, 1, 0, 0, 0, 0.9, 20, 0.9, 0.02, 1.3, 0, 0, 0, 1.5, 0, 1, 0, 1, 0, 0, 0], [3, 8]),
          recent: m.integers([3, 8], 200),
          key: tensor([1, 2, 3, 4, 5, 6], [3, 2], 'i32'),
        }),
        r => ({ ids: r.ids, logprobs: r.logprobs }),
      ),
  },
]

const pick = <A, B>(x: A, f: (x: A) => B): B => f(x)
const frequencies = (f: number): Tensor =>
  tensor(
    Float32Array.from({ length: f }, (_, i) => 10000 ** (-i / f)),
    [f],
  )

/** Random operands by seed, with the data to give a run. */
export function caseMaker(seed: number): CaseMaker & {
  inputs(lengths: Readonly<Record<string, number>>): Record<string, Float32Array | Int32Array>
  /** Inputs made by `floats`, by name. */
  readonly differentiable: Readonly<Record<string, Tensor>>
} {
  const r = randomSource(seed)
  const differentiable: Record<string, Tensor> = {}
  const wanted: { name: string; shape: readonly Dim[]; make: (n: number) => Float32Array | Int32Array }[] = []
  const ask = (dtype: 'f32' | 'i32', shape: readonly Dim[], make: (n: number) => Float32Array | Int32Array): Tensor => {
    const name = `in${wanted.length}`
    wanted.push({ name, shape, make })
    const made = input(name, dtype, shape)
    if (dtype === 'f32') differentiable[name] = made
    return made
  }
  return {
    differentiable,
    floats: (shape, scale = 1) => ask('f32', shape, size => Float32Array.from({ length: size }, () => scale * r.normal())),
    integers: (shape, below) => ask('i32', shape, size => Int32Array.from({ length: size }, () => r.integer(below))),
    stored(dtype, shape) {
      const size = shape.reduce((a, b) => a * b, 1)
      const values = Float32Array.from({ length: size }, () => r.normal())
      return constantTensor(new Constant(dtype, shape, encodeValues(dtype, values)))
    },
    inputs: lengths =>
      Object.fromEntries(
        wanted.map(({ name, shape, make }) => [
          name,
          make(shape.reduce<number>((a, d) => a * (typeof d === 'number' ? d : lengths[d.name]), 1)),
        ]),
      ),
  }
}

function encodeValues(dtype: Storage, values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(bytesOf(dtype, values.length))
  if (dtype === 'f32') bytes.set(new Uint8Array(values.buffer))
  else if (typeof dtype === 'object') dtype.encode!(values, bytes)
  else if (dtype === 'f16' || dtype === 'bf16') {
    const words = new Uint16Array(bytes.buffer)
    values.forEach((x, i) => {
      words[i] = dtype === 'f16' ? floatToHalf(x) : floatToBf16(x)
    })
  }
  return bytes
}
