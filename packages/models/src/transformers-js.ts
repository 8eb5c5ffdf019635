import { AttuneError } from '@attune/tensor'
import type { EncoderItem, Image } from './encoder-input.ts'

/** A tensor as `@huggingface/transformers` (transformers.js 3 and 4) holds it. Nothing of that package is imported. */
export interface TransformersTensor {
  readonly data: ArrayLike<number> | ArrayLike<bigint>
  readonly dims: readonly number[]
}
/** What its tokenizers and image processors give when they are called: a batch of tensors. */
export interface TransformersBatch {
  /** (items, tokens); where `attention_mask` is 0 there is no token. */
  readonly input_ids?: TransformersTensor
  readonly attention_mask?: TransformersTensor
  readonly token_type_ids?: TransformersTensor
  /** (items, channels, height, width) */
  readonly pixel_values?: TransformersTensor
}
/** An image before it was prepared: its `RawImage`, or what else has bytes (height, width, channels). */
export interface RawImage {
  readonly data: Uint8Array | Uint8ClampedArray
  readonly width: number
  readonly height: number
  readonly channels: number
}
/** What makes items of texts and images: our tokenizers and those of transformers.js; its image processors. */
export interface EncoderReaders {
  readonly tokenizer?: { encode(text: string): number[] }
  readonly imageProcessor?: (images: any) => Promise<TransformersBatch>
}
/** What an encoder is given: items, texts and images (with a reader for them), or a batch of transformers.js. */
export type EncoderGiven = TransformersBatch | readonly (EncoderItem | string | RawImage)[]

/** Items of what an encoder is given. Errors: `ERR_ARGUMENT` without a reader, or for a batch that holds something else. */
export async function encoderItems(given: EncoderGiven, readers: EncoderReaders = {}): Promise<readonly EncoderItem[]> {
  if (!Array.isArray(given)) return batchItems(given as TransformersBatch)
  return Promise.all(given.map(item => itemOf(item, readers)))
}

async function itemOf(item: EncoderItem | string | RawImage, { tokenizer, imageProcessor }: EncoderReaders): Promise<EncoderItem> {
  if (typeof item === 'string') {
    if (!tokenizer) throw new AttuneError('ERR_ARGUMENT', 'an encoder reads texts only with a tokenizer: give it one, or ids', {})
    return { ids: tokenizer.encode(item) }
  }
  if ('ids' in item || 'image' in item) return item
  if (!imageProcessor)
    throw new AttuneError('ERR_ARGUMENT', 'an encoder reads raw images only with an image processor: give it one, or `image`', {})
  return batchItems(await imageProcessor(item))[0]
}

function batchItems({ input_ids, attention_mask, token_type_ids, pixel_values }: TransformersBatch): EncoderItem[] {
  if (pixel_values) return images(pixel_values).map(image => ({ image }))
  if (!input_ids) throw new AttuneError('ERR_ARGUMENT', 'a batch of transformers.js has `input_ids` or `pixel_values`', {})
  const [count, length] = shapeOf('input_ids', input_ids, 2)
  for (const [name, tensor] of Object.entries({ attention_mask, token_type_ids })) if (tensor) sameShape(name, tensor, [count, length])
  return Array.from({ length: count }, (_, b) => {
    const real = Array.from({ length }, (_, t) => b * length + t).filter(i => !attention_mask || Number(attention_mask.data[i]) !== 0)
    const at = (tensor: TransformersTensor): number[] => real.map(i => Number(tensor.data[i]))
    return { ids: at(input_ids), ...(token_type_ids ? { types: at(token_type_ids) } : {}) }
  })
}

function images(tensor: TransformersTensor): Image[] {
  const [count, channels, height, width] = shapeOf('pixel_values', tensor, 4)
  const all = tensor.data instanceof Float32Array ? tensor.data : Float32Array.from(tensor.data as ArrayLike<number>)
  const size = channels * height * width
  return Array.from({ length: count }, (_, i) => ({ data: all.slice(i * size, (i + 1) * size), channels, height, width }))
}

function shapeOf(name: string, { data, dims }: TransformersTensor, rank: number): readonly number[] {
  if (dims.length !== rank || data.length !== dims.reduce((n, d) => n * d, 1))
    throw new AttuneError('ERR_ARGUMENT', `${name} has dims (${dims.join(', ')}) and ${data.length} numbers; ${rank} dims are read`, {
      name,
      dims,
    })
  return dims
}

function sameShape(name: string, tensor: TransformersTensor, want: readonly number[]): void {
  if (shapeOf(name, tensor, want.length).some((n, i) => n !== want[i]))
    throw new AttuneError('ERR_ARGUMENT', `${name} has dims (${tensor.dims.join(', ')}), input_ids has (${want.join(', ')})`, { name })
}
