import { AttuneError } from '@attune/tensor'
import { blockOf, type FileStorage, fileBytes } from '../dtypes.ts'
import { checkAbort } from '../error.ts'
import { type OutputFolder, writeWhole } from '../output.ts'
import type { TensorSource } from '../tensor-source.ts'
import { SAFETENSORS_DTYPES } from './read.ts'
import { INDEX_FILE } from './shards.ts'

export interface WriteOptions {
  /** Name of the file, when it is one. Default model.safetensors. */
  fileName?: string
  /** Largest file; a single tensor may still be larger. Default 5 GB, as Hugging Face has it. */
  maxShardBytes?: number
  /** Default `{ format: 'pt' }`, without which transformers refuses the file. */
  metadata?: Readonly<Record<string, string>>
  signal?: AbortSignal
  /** Whether a file of tensors is there already, from an earlier run that was given the same; it is asked in the order of writing. */
  isFinished?(file: string): Promise<boolean>
  onProgress?(event: { tensor: string; file: string; written: number; total: number }): void
}

/** Writes tensors as model.safetensors, or as shards with an index, a piece at a time. Names of the files written come back; nothing is committed. */
export async function writeSafetensors(out: OutputFolder, tensors: Iterable<TensorSource>, options: WriteOptions = {}): Promise<string[]> {
  const { fileName = 'model.safetensors', maxShardBytes = 5e9, metadata = { format: 'pt' }, signal, onProgress } = options
  const list = [...tensors]
  checkNames(list)
  const shards = shard(list, maxShardBytes)
  const total = list.reduce((n, t) => n + bytesOf(t), 0)
  let written = 0
  const index: Record<string, string> = {}
  const files: string[] = []
  for (const [i, members] of shards.entries()) {
    const file = shards.length === 1 ? fileName : `model-${number(i + 1)}-of-${number(shards.length)}.safetensors`
    if (await options.isFinished?.(file)) {
      for (const tensor of members) {
        written += bytesOf(tensor)
        index[tensor.name] = file
      }
      files.push(file)
      continue
    }
    const target = await out.create(file)
    await target.write(header(members, metadata))
    for (const tensor of members) {
      let bytes = 0
      for await (const piece of tensor.pieces(signal)) {
        checkAbort(signal, `writing ${file}`)
        await target.write(piece)
        bytes += piece.length
      }
      if (bytes !== bytesOf(tensor))
        throw new AttuneError(
          'ERR_SHAPE',
          `${tensor.name} gave ${bytes} bytes, but [${tensor.shape}] of ${tensor.dtype} takes ${bytesOf(tensor)}`,
          { tensor: tensor.name, bytes },
        )
      written += bytes
      index[tensor.name] = file
      onProgress?.({ tensor: tensor.name, file, written, total })
    }
    await target.finish()
    files.push(file)
  }
  if (shards.length === 1) return files
  await writeWhole(out, INDEX_FILE, {
    metadata: { total_size: total },
    weight_map: Object.fromEntries(Object.entries(index).sort(([a], [b]) => (a < b ? -1 : 1))),
  })
  return [...files, INDEX_FILE]
}

const NAMES = new Map<FileStorage, string>(Object.entries(SAFETENSORS_DTYPES).map(([name, dtype]) => [dtype, name]))
const number = (n: number): string => String(n).padStart(5, '0')
const bytesOf = (t: TensorSource): number =>
  fileBytes(
    t.dtype,
    t.shape.reduce((n, d) => n * d, 1),
  )

function checkNames(tensors: readonly TensorSource[]): void {
  const seen = new Set<string>()
  for (const { name, dtype } of tensors) {
    if (seen.has(name) || name === '__metadata__')
      throw new AttuneError('ERR_ARGUMENT', `tensor ${name} cannot be written ${seen.has(name) ? 'twice' : 'under this name'}`, {
        tensor: name,
      })
    if (typeof dtype === 'object')
      throw new AttuneError('ERR_UNSUPPORTED', `tensor ${name} is packed as ${dtype.name}, which safetensors do not hold; write a GGUF`, {
        tensor: name,
        dtype: dtype.name,
      })
    seen.add(name)
  }
}

/** Fills files in the given order. Inside a file wide types come first, so that every tensor starts at a multiple of its item's size. */
function shard(tensors: readonly TensorSource[], max: number): TensorSource[][] {
  const shards: TensorSource[][] = [[]]
  let size = 0
  for (const tensor of tensors) {
    const bytes = bytesOf(tensor)
    if (size > 0 && size + bytes > max) {
      shards.push([])
      size = 0
    }
    shards[shards.length - 1].push(tensor)
    size += bytes
  }
  return shards.map(members => members.sort((a, b) => blockOf(b.dtype).bytes - blockOf(a.dtype).bytes))
}

function header(tensors: readonly TensorSource[], metadata: Readonly<Record<string, string>>): Uint8Array {
  let at = 0
  const entries = tensors.map(tensor => {
    const begin = at
    at += bytesOf(tensor)
    return [tensor.name, { dtype: NAMES.get(tensor.dtype), shape: tensor.shape, data_offsets: [begin, at] }]
  })
  const text = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }))
  const padded = Math.ceil(text.length / 8) * 8
  const bytes = new Uint8Array(8 + padded).fill(0x20)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(padded), true)
  bytes.set(text, 8)
  return bytes
}
