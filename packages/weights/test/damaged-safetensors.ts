import { makeSafetensors } from './make.ts'
import type { Random } from './random.ts'

interface Entry {
  dtype: unknown
  shape: unknown
  data_offsets: unknown
}
const SIZES: Readonly<Record<string, number>> = { F64: 8, F32: 4, F16: 2, BF16: 2, F8_E4M3: 1, I64: 8, I32: 4, U8: 1, BOOL: 1 }

/** A whole file: some tensors of any type, the data all ones. */
export function goodSafetensors(random: Random): { header: Record<string, Entry>; data: Uint8Array; names: string[] } {
  const header: Record<string, Entry> = {}
  let at = 0
  for (let i = 0, n = 1 + random.below(4); i < n; i++) {
    const dtype = random.pick(Object.keys(SIZES))
    const shape = Array.from({ length: random.below(4) }, () => 1 + random.below(5))
    const bytes = shape.reduce((a, b) => a * b, SIZES[dtype])
    header[`model.layers.${i}.w`] = { dtype, shape, data_offsets: [at, at + bytes] }
    at += bytes
  }
  return { header, data: new Uint8Array(at).fill(1), names: Object.keys(header) }
}

/** One field of one tensor replaced by something that cannot be it. */
const field =
  (change: (entry: { dtype: string; shape: number[]; data_offsets: number[] }, random: Random, total: number) => Partial<Entry>) =>
  (random: Random): Uint8Array => {
    const { header, data, names } = goodSafetensors(random)
    const name = random.pick(names)
    header[name] = { ...header[name], ...change(header[name] as never, random, data.length) }
    return makeSafetensors(header, data)
  }
const raw = (random: Random, text: (json: string) => string): Uint8Array => {
  const { header, data } = goodSafetensors(random)
  return makeSafetensors(0, data, { raw: text(JSON.stringify(header)) })
}
const whole = (random: Random): Uint8Array => {
  const { header, data } = goodSafetensors(random)
  return makeSafetensors(header, data)
}

/** Ways to damage a file so that nothing may open it. */
export const DAMAGED_SAFETENSORS: Readonly<Record<string, (random: Random) => Uint8Array>> = {
  truncated: random => {
    const good = whole(random)
    return good.slice(0, random.below(good.length))
  },
  'bytes left over': random => Uint8Array.of(...whole(random), ...random.bytes(1 + random.below(40))),
  'random bytes': random => random.bytes(random.below(400)),
  'random bytes behind a plausible size': random => Uint8Array.of(40, 0, 0, 0, 0, 0, 0, 0, 0x7b, ...random.bytes(200)),
  'header size': random => {
    const { header, data } = goodSafetensors(random)
    const size = BigInt(new TextEncoder().encode(JSON.stringify(header)).length)
    const claim = random.pick([
      0n,
      1n,
      size - 1n,
      size + 1n,
      size + BigInt(data.length),
      size + BigInt(data.length) + 1n,
      2n ** 31n,
      2n ** 53n,
      2n ** 63n,
      2n ** 64n - 1n,
    ])
    return makeSafetensors(header, data, { claim })
  },
  overlap: field(({ data_offsets: [a, b] }, random, total) => ({
    data_offsets: random.pick([
      [a + 1, b],
      [a, b + 1],
      [a + 1, b + 1],
      [total, total + b - a],
      [total + 9, total + 9 + b - a],
    ]),
  })),
  'offsets that are none': field(({ data_offsets: [a, b] }, random) => ({
    data_offsets: random.pick([
      [b, a - 1],
      [a],
      [a, b, b],
      [-1, b],
      [a + 0.5, b],
      ['0', b],
      [null, b],
      null,
      7,
      {},
      [a, 1e300],
      [[a], b],
      [2 ** 53, 2 ** 53],
    ]),
  })),
  'shape that is none': field(({ shape }, random) => ({
    shape: random.pick([
      [-1, ...shape],
      [...shape, 0.5],
      [...shape, 1e18, 1e18],
      [2 ** 53],
      ['3'],
      [null],
      null,
      3,
      {},
      [shape],
      new Array(40).fill(1),
      [...shape, -0.5],
    ]),
  })),
  'lying shape': field(({ shape }, random) => ({
    shape: random.pick([
      [...shape, 2],
      [...shape, 0],
      [...shape, 2 ** 20],
      [2 ** 31, 2 ** 21],
    ]),
  })),
  'dtype that is none': field((_, random) => ({
    dtype: random.pick(['F31', 'f32', '', 'toString', '__proto__', 'Float', 4, null, {}, ['F32'], 'F32\u0000']),
  })),
  'dtype of another size': field(({ dtype }, random) => ({
    dtype: random.pick(Object.keys(SIZES).filter(d => SIZES[d] !== SIZES[dtype])),
  })),
  'missing or unknown field': random =>
    field((_, r) => r.pick<object>([{ dtype: undefined }, { shape: undefined }, { data_offsets: undefined }, { strides: [1] }, { '': 0 }]))(
      random,
    ),
  'entry that is none': random =>
    raw(random, json => json.replace(/\{"dtype".*?\}/, random.pick(['3', 'null', '"F32"', '[]', '[1,2]', 'true']))),
  'duplicate tensor': random =>
    raw(random, json => `{"model.layers.0.w":${random.pick(['1', '{"dtype":"F32","shape":[],"data_offsets":[0,4]}'])},${json.slice(1)}`),
  'duplicate name in disguise': random =>
    raw(random, json => `${json.slice(0, -1)},"\\u006dodel.layers.0.w":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`),
  'duplicate field': random =>
    raw(random, json =>
      json.replace('"dtype":', random.pick(['"shape":[],"dtype":', '"dtype":"F32","dtype":', '"data_offsets":[0,4],"dtype":'])),
    ),
  'broken JSON': random =>
    raw(random, json => {
      const at = 1 + random.below(json.length - 1)
      return random.pick([
        json.slice(0, at),
        json.slice(1),
        `${json}}`,
        `${json}{}`,
        `[${json}]`,
        `${json.slice(0, -1)},}`,
        `{${json.slice(1).replaceAll('"', "'")}`,
      ])
    }),
  'deep nesting': random => {
    const deep = 10 ** (1 + random.below(5))
    return raw(random, json => `{"a":${random.pick(['[', '{"a":']).repeat(deep)}${random.pick(['', json])}`)
  },
  'endless string': random =>
    raw(random, json =>
      `{"${'a'.repeat(10 ** random.below(6))}${random.pick(['', '\\'])}${random.pick(['', `:${json}`])}`.replaceAll('":', ':'),
    ),
  'metadata that is none': random =>
    raw(random, json => `{"__metadata__":${random.pick(['1', '[]', '"x"', '{"a":1}', '{"a":null}', '{"a":{}}', 'null'])},${json.slice(1)}`),
}
