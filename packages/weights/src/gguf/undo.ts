import { AttuneError } from '@attune/tensor'
import { type TensorEntry, tensorEntry } from '../checkpoint.ts'
import { derived } from '../derived.ts'
import { blockOf, decode, fileBytes } from '../dtypes.ts'
import { show } from '../error.ts'
import { interleavedRow } from '../layout/steps.ts'
import { transposed, value } from '../layout/value.ts'
import type { ByteSource } from '../source.ts'
import type { Change } from './architecture.ts'
import type { GgufTensor } from './read.ts'

/** A tensor of a GGUF under its Hugging Face names, with what llama.cpp did to its values undone. Errors: `ERR_UNSUPPORTED`. */
export function undone(source: ByteSource, tensor: GgufTensor, names: readonly string[], change: Change | undefined): TensorEntry[] {
  const { storage, name: type } = tensor.type
  const refuse = (why: string, data = {}) =>
    new AttuneError('ERR_UNSUPPORTED', `${source.name}: tensor ${show(tensor.name)} ${why}`, {
      file: source.name,
      tensor: tensor.name,
      ...data,
    })
  if (!storage) throw refuse(`has type ${type}, which attune does not read yet`, { type })
  const [name] = names
  const { shape, byteOffset } = tensor
  const packedVector = shape.length < 2 && typeof storage === 'object'
  const whole = () => tensorEntry(source, { name, dtype: storage, shape, byteOffset })
  switch (change?.kind) {
    case undefined:
      return [whole()]
    case 'interleaved': {
      const { head } = change
      if (head % 2 !== 0 || shape[0] % head !== 0) throw refuse(`has ${shape[0]} rows, not whole heads of ${head}`)
      if (packedVector) throw refuse(`is a ${type} vector whose values are reordered, which needs unpacked values`)
      const order = { group: head, of: (row: number) => interleavedRow(row, head) }
      return [tensorEntry(source, { name, dtype: storage, shape, byteOffset }, order)]
    }
    case 'joined': {
      const rows = change.rows
      const rowBytes = fileBytes(
        storage,
        shape.slice(1).reduce((n, d) => n * d, 1),
      )
      if (rows.reduce((a, b) => a + b, 0) !== shape[0]) throw refuse(`has ${shape[0]} rows, not ${rows.join(' + ')}`)
      if (packedVector) throw refuse(`is a ${type} vector that holds several, which needs unpacked values`)
      let at = byteOffset
      return names.map((part, i) => {
        const entry = tensorEntry(source, { name: part, dtype: storage, shape: [rows[i], ...shape.slice(1)], byteOffset: at })
        at += rows[i] * rowBytes
        return entry
      })
    }
    case 'transposed':
      if (shape.length !== 2) throw refuse(`has ${shape.length} axes, not the 2 of a matrix`)
      return [turned(whole())]
    case 'shifted':
      if (shape.length !== 1 || blockOf(storage).block !== 1) throw refuse(`is no plain vector, as norms are`)
      return [shifted(whole(), -change.by)]
  }
}

function turned(matrix: TensorEntry): TensorEntry {
  const [columns, rows] = matrix.shape
  const dtype = typeof matrix.dtype === 'object' ? 'f32' : matrix.dtype
  return derived(matrix, {
    dtype,
    shape: [rows, columns],
    step: rows,
    async fill(from, to, target, signal) {
      const bytes = await matrix.read(signal)
      const all = transposed(value(matrix.dtype, matrix.shape, () => bytes)).bytes
      target.set(all.subarray((from * all.length) / rows, (to * all.length) / rows))
    },
  })
}

function shifted(vector: TensorEntry, by: number): TensorEntry {
  return derived(vector, {
    dtype: 'f32',
    shape: vector.shape,
    step: vector.shape[0],
    async fill(from, to, target, signal) {
      const values = new Float32Array(to - from)
      decode(vector.dtype, await vector.readRows(from, to, signal), values)
      target.set(new Uint8Array(values.map(x => x + by).buffer))
    },
  })
}
