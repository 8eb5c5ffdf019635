import { array, type Bound, type EmbeddingSpec, embedding, linear, type ParamTree, vector } from '@attune/nn'
import { type GridSize, gridPositions, learnedPositions, type TablePositions, widened } from '@attune/position'
import { AttuneError, type Dim, input, mapWith, type Tensor } from '@attune/tensor'
import { embedded, embedParams, positionLimit } from './embed.ts'
import type { EncoderInputSpec } from './encoder-spec.ts'

/** Numbers of an image (channels, height, width), normalised as the model was trained. */
export interface Image {
  readonly data: Float32Array
  readonly channels: number
  readonly height: number
  readonly width: number
}
/** One sequence that an encoder reads. */
export type EncoderItem =
  | { readonly ids: ArrayLike<number> /** Type of each token, 0 by default. */; readonly types?: ArrayLike<number> }
  | { readonly image: Image }

/** A batch as inputs of a step: `counts` tokens of each item, and `width` numbers per token of each named input. */
export interface EncoderFeed {
  readonly counts: readonly number[]
  readonly inputs: Readonly<Record<string, { readonly data: Int32Array | Float32Array; readonly width: number }>>
}

type SpecOf<K> = Extract<EncoderInputSpec, { kind: K }>
interface InputKind<S> {
  params(spec: S, dim: number): ParamTree
  /** Embeds what a feed's inputs hold: (N, dim). `widths` are the feed's numbers per token, `position` (N) i32. */
  embed(params: any, spec: S, count: Dim, widths: Readonly<Record<string, number>>, position: Tensor): Tensor
  /** Errors: `ERR_ARGUMENT` for an item of another kind or outside what the model reads. */
  feed(items: readonly EncoderItem[], spec: S): EncoderFeed
}

const tokens: InputKind<SpecOf<'tokens'>> = {
  params: ({ vocab, embed }, dim) => ({ table: embedding(vocab, embed?.width ?? dim), ...(embed ? embedParams(embed, dim) : {}) }),
  embed(params: Bound<{ table: EmbeddingSpec }>, { embed }, count, _widths, position) {
    const rows = params.table.lookup(input('ids', 'i32', [count]))
    const type = embed?.types === undefined ? undefined : input('types', 'i32', [count])
    return embed ? embedded(params, rows, embed, { position, type }) : rows
  },
  feed(items, { vocab, embed }) {
    const limit = positionLimit(embed)
    const ids = items.map((item, i) => {
      if (!('ids' in item)) throw new AttuneError('ERR_ARGUMENT', `item ${i} is an image; this encoder reads token ids`, { item: i })
      const own = Int32Array.from(item.ids)
      const bad = own.findIndex((_, t) => !(Number.isInteger(item.ids[t]) && item.ids[t] >= 0 && item.ids[t] < vocab))
      if (bad >= 0)
        throw new AttuneError('ERR_ARGUMENT', `token id ${item.ids[bad]} at ${bad} is outside the vocabulary of ${vocab}`, {
          id: item.ids[bad],
          index: bad,
          vocab,
        })
      if (own.length > limit)
        throw new AttuneError('ERR_ARGUMENT', `item ${i} has ${own.length} tokens; the model has ${limit} learned positions`, {
          item: i,
          length: own.length,
          limit,
        })
      return own
    })
    const types = embed?.types === undefined ? undefined : ids.flatMap((own, i) => typesOf(items[i], i, own.length, embed.types!))
    const named = { ids: Int32Array.from(ids.flatMap(x => [...x])), ...(types ? { types: Int32Array.from(types) } : {}) }
    return { counts: ids.map(x => x.length), inputs: Object.fromEntries(Object.entries(named).map(([k, data]) => [k, { data, width: 1 }])) }
  },
}

/** Types of an item's tokens; all 0 where it names none. */
function typesOf(item: EncoderItem, index: number, length: number, types: number): number[] {
  const given = ('ids' in item ? item.types : undefined) ?? new Array<number>(length).fill(0)
  const bad = Array.from(given).findIndex(t => !(Number.isInteger(t) && t >= 0 && t < types))
  if (given.length !== length || bad >= 0)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `item ${index}: ${length} token types below ${types} are needed, got ${Array.from(given).join(' ')}`,
      {
        item: index,
        types,
      },
    )
  return Array.from(given)
}

const patches: InputKind<SpecOf<'patches'>> = {
  params: ({ channels, patch: [y, x], grid }, dim) => ({
    patch: linear({ c: channels, y, x }, { dim }, true),
    first: vector(dim, 0),
    positions: array([1 + grid[0] * grid[1], dim], { spread: 0.02 }),
  }),
  embed(params, { channels, patch }, count, widths) {
    const pixels = input('pixels', 'f32', [count, channels, ...patch])
    const first = input('first', 'i32', [count]).unsqueeze(1)
    // A class token has no pixels: its row of the product is put aside.
    const x = mapWith((own, token, is) => is.gt(0).select(token, own), [params.patch(pixels), params.first, first])
    const place = (name: string, dtype: 'i32' | 'f32') => input(`positions.${name}`, dtype, [count, widths[`positions.${name}`]])
    return mapWith((a, b) => a.add(b), [x, learnedPositions(params.positions, place('at', 'i32'), place('weight', 'f32'))])
  },
  feed(items, spec) {
    const images = items.map((item, i) => {
      if (!('image' in item)) throw new AttuneError('ERR_ARGUMENT', `item ${i} holds token ids; this encoder reads images`, { item: i })
      checkImage(item.image, spec)
      return item.image
    })
    const [h, w] = spec.patch
    const size = spec.channels * h * w
    const grids = images.map(({ height, width }): GridSize => [height / h, width / w])
    const counts = grids.map(([y, x]) => 1 + y * x)
    const total = counts.reduce((a, b) => a + b, 0)
    const pixels = new Float32Array(total * size)
    const first = new Int32Array(total)
    const places = grids.map(grid => withFirst(gridPositions(spec.grid, grid, 1)))
    const wide = Math.max(...places.map(p => p.width))
    const at = new Int32Array(total * wide)
    const weight = new Float32Array(total * wide)
    let from = 0
    images.forEach((image, i) => {
      first[from] = 1
      cut(image, spec.patch, pixels.subarray((from + 1) * size, (from + counts[i]) * size))
      const own = widened(places[i], wide)
      at.set(own.at, from * wide)
      weight.set(own.weight, from * wide)
      from += counts[i]
    })
    return {
      counts,
      inputs: {
        pixels: { data: pixels, width: size },
        first: { data: first, width: 1 },
        'positions.at': { data: at, width: wide },
        'positions.weight': { data: weight, width: wide },
      },
    }
  },
}

const kinds: { readonly [K in EncoderInputSpec['kind']]: InputKind<SpecOf<K>> } = { tokens, patches }
/** How an encoder reads its input. */
export const inputKind = (spec: EncoderInputSpec): InputKind<any> => kinds[spec.kind]

/** The class token's place, the table's first row, before the patches' own. */
function withFirst({ width, at, weight }: TablePositions): TablePositions {
  const out = { width, at: new Int32Array(at.length + width), weight: new Float32Array(weight.length + width) }
  out.at.set(at, width)
  out.weight.set(weight, width)
  out.weight[0] = 1
  return out
}

/** Patches (grid y · grid x, channels, patch y, patch x) of an image, in reading order. */
function cut({ data, channels, height, width }: Image, [h, w]: GridSize, out: Float32Array): void {
  let i = 0
  for (let top = 0; top < height; top += h)
    for (let left = 0; left < width; left += w)
      for (let c = 0; c < channels; c++)
        for (let y = top; y < top + h; y++, i += w)
          out.set(data.subarray((c * height + y) * width + left, (c * height + y) * width + left + w), i)
}

function checkImage({ data, channels, height, width }: Image, spec: SpecOf<'patches'>): void {
  const [h, w] = spec.patch
  const fits = channels === spec.channels && height >= h && width >= w && height % h === 0 && width % w === 0
  if (!fits || data.length !== channels * height * width)
    throw new AttuneError(
      'ERR_ARGUMENT',
      `an image of ${channels} × ${height} × ${width} with ${data.length} numbers: this encoder reads ${spec.channels} channels in patches of ${h} × ${w}`,
      { channels, height, width, patch: spec.patch },
    )
}
