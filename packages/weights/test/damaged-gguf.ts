import { type MadeTensor, type MadeValue, makeGguf } from './make.ts'
import type { Random } from './random.ts'

const LLAMA: [string, MadeValue][] = [
  ['general.architecture', [8, 'llama']],
  ['llama.block_count', [4, 1]],
  ['llama.context_length', [4, 64]],
  ['llama.embedding_length', [4, 32]],
  ['llama.feed_forward_length', [4, 32]],
  ['llama.attention.head_count', [4, 2]],
  ['llama.attention.layer_norm_rms_epsilon', [6, 1e-5]],
]
const TOKENIZER: [string, MadeValue][] = [
  ['tokenizer.ggml.model', [8, 'gpt2']],
  ['tokenizer.ggml.tokens', [9, 8, ['a', 'b', 'ab']]],
  ['tokenizer.ggml.token_type', [9, 5, [1, 1, 1]]],
  ['tokenizer.ggml.merges', [9, 8, ['a b']]],
  ['tokenizer.ggml.eos_token_id', [4, 2]],
]
type Parts = [metadata: [string, MadeValue][], tensors: MadeTensor[]]

/** A whole file, a small llama with a tokenizer. */
export function goodGguf(random: Random): Parts {
  const notes: [string, MadeValue][] = Array.from({ length: random.below(3) }, (_, i) => [
    `general.note.${i}`,
    random.pick<MadeValue>([
      [8, 'x'.repeat(random.below(50))],
      [5, -1],
      [7, true],
      [10, 2n ** 40n],
      [9, 6, [0.5, 1]],
      [9, 8, ['', 'y']],
    ]),
  ])
  const tensor = (name: string, type: number, bytes: number, ...dims: number[]) => ({
    name,
    dims,
    type,
    data: new Uint8Array(bytes).fill(1),
  })
  return [
    [...LLAMA, ...notes, ...TOKENIZER],
    [
      tensor('token_embd.weight', 8, 34 * 3, 32, 3),
      tensor('blk.0.attn_q.weight', random.pick([2, 20]), 18 * 32, 32, 32),
      tensor('output_norm.weight', 0, 128, 32),
    ],
  ]
}
const whole = (random: Random): Uint8Array => makeGguf(...goodGguf(random))
/** The value of a key replaced, or the key taken away. */
const key =
  (name: string, ...values: (MadeValue | undefined)[]) =>
  (random: Random): Uint8Array => {
    const [metadata, tensors] = goodGguf(random)
    const value = random.pick(values)
    return makeGguf(
      metadata.flatMap(([k, v]): [string, MadeValue][] => (k !== name ? [[k, v]] : value ? [[k, value]] : [])),
      tensors,
    )
  }
const tensor =
  (change: (tensor: MadeTensor, random: Random, index: number) => Partial<MadeTensor>) =>
  (random: Random): Uint8Array => {
    const [metadata, tensors] = goodGguf(random)
    const i = random.below(tensors.length)
    return makeGguf(metadata, tensors.with(i, { ...tensors[i], ...change(tensors[i], random, i) }))
  }
/** Eight bytes at `at` replaced by a count that lies. */
function lie(bytes: Uint8Array, at: number, random: Random, ...counts: bigint[]): Uint8Array {
  new DataView(bytes.buffer).setBigUint64(
    at,
    random.pick([2n ** 16n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n, ...counts]),
    true,
  )
  return bytes
}
const find = (bytes: Uint8Array, text: string): number => Buffer.from(bytes.buffer).indexOf(text)

/** Ways to damage a file so that nothing may open it. */
export const DAMAGED_GGUF: Readonly<Record<string, (random: Random) => Uint8Array>> = {
  truncated: random => {
    const good = whole(random)
    return good.slice(0, random.below(good.length - 31)) // the last 32 bytes could be padding
  },
  'bytes left over': random => Uint8Array.of(...whole(random), ...random.bytes(32 + random.below(64))),
  'random bytes': random => random.bytes(random.below(400)),
  'random bytes behind the magic': random =>
    Uint8Array.of(0x47, 0x47, 0x55, 0x46, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, ...random.bytes(300)),
  'magic or version': random => {
    const bytes = whole(random)
    bytes[random.pick([0, 1, 2, 3, 4])] ^= 0x10 << random.below(4)
    return bytes
  },
  'tensor count': random => lie(whole(random), 8, random, 2n, 4n, 5n),
  'metadata count': random => lie(whole(random), 16, random, 6n, 11n, 20n),
  'key length': random => lie(whole(random), 24, random, 0n, 19n, 21n),
  'string length': random => {
    const bytes = whole(random)
    return lie(bytes, find(bytes, 'general.architecture') + 24, random, 4n, 6n)
  },
  'array count': random => {
    const bytes = whole(random)
    return lie(bytes, find(bytes, 'tokenizer.ggml.tokens') + 29, random, 2n, 4n, 1000n)
  },
  'array type': random => {
    const bytes = whole(random)
    bytes[find(bytes, 'tokenizer.ggml.tokens') + 25] = random.pick([9, 10, 12, 13, 77, 255])
    return bytes
  },
  'arrays in arrays': random => {
    const at = [...whole(random).slice(0, 24), 1, 0, 0, 0, 0, 0, 0, 0, 0x6b, 9, 0, 0, 0]
    for (let i = 0; i < 10 + random.below(3000); i++) at.push(9, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0)
    return Uint8Array.from(at)
  },
  'value type': random => {
    const bytes = whole(random)
    bytes[find(bytes, 'llama.block_count') + 17] = random.pick([7, 8, 9, 13, 14, 200])
    return bytes
  },
  'text that is not UTF-8': random => {
    const bytes = whole(random)
    bytes[find(bytes, random.pick(['general.architecture', 'tokenizer.ggml.model', 'output_norm'])) + random.below(6)] = random.pick([
      0x80, 0xc0, 0xff,
    ])
    return bytes
  },
  'duplicate key': random => {
    const [metadata, tensors] = goodGguf(random)
    return makeGguf([...metadata, random.pick(metadata)], tensors)
  },
  'duplicate tensor': random => {
    const [metadata, tensors] = goodGguf(random)
    return makeGguf(metadata, [...tensors, { ...random.pick(tensors), name: tensors[random.below(3)].name }])
  },
  dimensions: tensor((_, random) => ({
    dims: random.pick([
      [1, 1, 1, 1, 32],
      [2n ** 64n - 1n],
      [2n ** 32n, 2n ** 32n],
      [2n ** 63n, 2n, 0n + 1n],
      new Array(200).fill(1),
      [32, 2n ** 50n],
      [2n ** 20n, 2n ** 20n],
    ]),
  })),
  'shape of more data': tensor(({ dims }, random) => ({ dims: [Number(dims[0]) * random.pick([2, 64, 4096]), ...dims.slice(1)] })),
  'rows of broken blocks': random => {
    const [metadata, tensors] = goodGguf(random)
    return makeGguf(metadata, tensors.with(1, { ...tensors[1], dims: [random.pick([1, 31, 33]), 32] }))
  },
  'tensor type': tensor((_, random) => ({ type: random.pick([4, 5, 31, 36, 99, 2 ** 31, 2 ** 32 - 1]) })),
  'tensor type of another size': tensor((_, random) => ({ type: random.pick([24, 28]) })),
  'tensor offset': tensor(({ data }, random, i) => ({
    offset:
      random.pick([1, 4, 31, i === 1 ? 0 : 64, 32 * Math.ceil(data.length / 32) + 4096, 2 ** 40, 2 ** 53 + 2]) +
        (i === 0 ? 0 : 7 * random.below(2)) || 5,
  })),
  alignment: random => {
    const [metadata, tensors] = goodGguf(random)
    return makeGguf(
      [
        ...metadata,
        [
          'general.alignment',
          random.pick<MadeValue>([
            [4, 0],
            [4, 3],
            [4, 24],
            [4, 2 ** 31],
            [5, -32],
            [8, '32'],
            [7, true],
            [6, 0.5],
            [4, 4096],
          ]),
        ],
      ],
      tensors,
    )
  },
  'a size that is none': random =>
    key(
      random.pick([
        'llama.block_count',
        'llama.embedding_length',
        'llama.context_length',
        'llama.feed_forward_length',
        'llama.attention.head_count',
      ]),
      undefined,
      [4, 0],
      [5, -1],
      [6, 0.5],
      [8, '2'],
      [7, true],
      [9, 5, []],
      [9, 8, ['2']],
      [10, 2n ** 63n],
    )(random),
  'no architecture': key('general.architecture', undefined, [4, 1], [9, 8, ['llama']]),
  vocabulary: random =>
    key('tokenizer.ggml.tokens', undefined, [9, 8, ['a', 'a', 'b']], [9, 8, ['a']], [9, 5, [1, 2, 3]], [8, 'abc'])(random),
  'token types': key('tokenizer.ggml.token_type', [9, 5, [1]], [9, 5, [1, 1, 1, 1]], [9, 8, ['1', '1', '1']], [4, 1]),
  merges: key('tokenizer.ggml.merges', undefined, [9, 8, ['ab']], [9, 8, ['a ']], [9, 8, [' ']], [9, 8, ['']], [9, 5, [1]]),
  'token id': key('tokenizer.ggml.eos_token_id', [4, 3], [5, -1], [6, 0.5], [8, '</s>'], [4, 2 ** 32 - 1]),
}
