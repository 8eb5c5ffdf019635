import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { q8_0 } from '@attune/tensor'
import { describe, expect, it } from 'vitest'
import { floats, tensorEntry } from '../checkpoint.ts'
import { encode, type FileDType } from '../dtypes.ts'
import { folderOf } from '../folder.ts'
import { value } from '../layout/value.ts'
import { diskFolder } from '../node/folder.ts'
import { diskOutput } from '../node/output.ts'
import { openCheckpoint } from '../open.ts'
import { memoryOutput } from '../output.ts'
import { saveCheckpoint } from '../save.ts'
import { memorySource } from '../source.ts'
import { fromEntry, fromValue, type TensorSource } from '../tensor-source.ts'
import { readSafetensors } from './read.ts'
import { writeSafetensors } from './write.ts'

const numbers = (n: number, seed = 0) => Float32Array.from({ length: n }, (_, i) => Math.sin(seed + i) * 3)
const tensor = (name: string, dtype: FileDType, shape: number[]): TensorSource => {
  const n = shape.reduce((a, b) => a * b, 1)
  return fromValue(name, dtype, shape, () => value('f32', shape, () => encode('f32', numbers(n, name.length))))
}
const config = { model_type: 'llama' }

describe('writeSafetensors', () => {
  it('writes what it reads back, each tensor aligned to its items', async () => {
    const out = memoryOutput()
    const list = [
      tensor('a', 'bf16', [3]),
      tensor('bb', 'f32', [2, 3]),
      tensor('ccc', 'f16', [5]),
      tensor('dddd', 'f32', [0, 2]),
      tensor('s', 'f32', []),
    ]
    expect(await writeSafetensors(out, list)).toEqual(['model.safetensors'])
    await out.commit()
    const { tensors, metadata } = await readSafetensors(memorySource('m', out.files.get('model.safetensors')!))
    expect(metadata).toEqual({ format: 'pt' })
    for (const { name, dtype, shape } of list) {
      const got = tensors.get(name)!
      expect([got.dtype, got.shape]).toEqual([dtype, shape])
      expect(got.byteOffset % (dtype === 'f32' ? 4 : 2)).toBe(0)
      const bytes = encode(
        dtype,
        numbers(
          shape.reduce((a, b) => a * b, 1),
          name.length,
        ),
      )
      expect([...(await got.read())]).toEqual([...bytes])
    }
  })

  it('cuts into shards with an index', async () => {
    const out = memoryOutput()
    const list = ['a', 'b', 'c', 'd', 'e'].map(n => tensor(n, 'f32', [10]))
    await saveCheckpoint(out, { config, chatTemplate: 'T' }, list, { maxShardBytes: 100, extra: { 'conversion.json': { seed: 1 } } })
    expect([...out.files.keys()]).toEqual([
      'model-00001-of-00003.safetensors',
      'model-00002-of-00003.safetensors',
      'model-00003-of-00003.safetensors',
      'model.safetensors.index.json',
      'config.json',
      'chat_template.jinja',
      'conversion.json',
    ])
    const checkpoint = await openCheckpoint(
      folderOf(
        'm',
        [...out.files].map(([name, bytes]) => memorySource(name, bytes)),
      ),
    )
    expect([...checkpoint.tensors.keys()]).toEqual(['a', 'b', 'c', 'd', 'e'])
    expect(checkpoint.chatTemplate).toBe('T')
  })

  it('unpacks and converts another file row by row', async () => {
    const packed = new Uint8Array(q8_0.bytes * 4)
    q8_0.encode!(numbers(128), packed)
    const entry = tensorEntry(memorySource('g', packed), { name: 'w', dtype: q8_0, shape: [2, 64], byteOffset: 0 })
    const out = memoryOutput()
    await writeSafetensors(out, [fromEntry(entry), fromEntry(entry, { name: 'half', dtype: 'f16' })])
    await out.commit()
    const { tensors } = await readSafetensors(memorySource('m', out.files.get('model.safetensors')!))
    expect(await floats(tensors.get('w')!)).toEqual(await floats(entry))
    expect([...(await tensors.get('half')!.read())]).toEqual([...encode('f16', await floats(entry))])
  })

  it('refuses doubled names and tensors that give other bytes than they said', async () => {
    await expect(writeSafetensors(memoryOutput(), [tensor('a', 'f32', [1]), tensor('a', 'f32', [1])])).rejects.toMatchObject({
      code: 'ERR_ARGUMENT',
    })
    const liar = fromValue('a', 'f32', [2], () => value('f32', [3], () => new Uint8Array(12)))
    await expect(writeSafetensors(memoryOutput(), [liar])).rejects.toMatchObject({ code: 'ERR_SHAPE', data: { tensor: 'a' } })
  })
})

describe('diskOutput', () => {
  it('shows nothing until all is written, and nothing at all after an abort', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'attune-write-'))
    try {
      const path = join(dir, 'model')
      await saveCheckpoint(await diskOutput(path), { config }, [tensor('a', 'f32', [4])])
      const before = await readFile(join(path, 'model.safetensors'))

      const stop = new AbortController()
      const list = [tensor('a', 'f32', [4]), tensor('b', 'f32', [4])]
      const saving = saveCheckpoint(await diskOutput(path), { config: { model_type: 'other' } }, list, {
        signal: stop.signal,
        onProgress: () => stop.abort(),
      })
      await expect(saving).rejects.toMatchObject({ code: 'ERR_ABORTED' })
      expect((await readdir(path)).sort()).toEqual(['config.json', 'model.safetensors'])
      expect(await readFile(join(path, 'model.safetensors'))).toEqual(before)

      const checkpoint = await openCheckpoint(await diskFolder(path))
      expect(checkpoint.config).toEqual(config)
      expect(await floats(checkpoint.tensors.get('a')!)).toEqual(numbers(4, 1))
      await checkpoint.close()
      await expect((await diskOutput(path)).create('../x')).rejects.toMatchObject({ code: 'ERR_ARGUMENT' })
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  })
})
