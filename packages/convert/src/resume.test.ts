import { spawnSync } from 'node:child_process'
import { cp, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { AttuneError } from '@attune/tensor'
import { build } from 'tsup'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { conversionRun } from '../test/conversion-run.ts'
import { folderHash } from '../test/folder-hash.ts'
import { watchedWork } from '../test/watched-work.ts'
import { type ConvertFolderOptions, diskWork } from './node/index.ts'

const here = (path: string) => fileURLToPath(new URL(path, import.meta.url))
let root: string
let source: string
/** What a run that nothing disturbs writes, and at how many moments it could have been disturbed. */
let whole: Record<string, string>
let moments: string[]

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'attune-resume-'))
  source = join(root, 'source')
  await cp(here('../../models/test/fixtures/llama-gqa-tied'), source, { recursive: true })
  moments = []
  const target = join(root, 'whole')
  await conversionRun(source, target, { work: watchedWork(diskWork(target), what => void moments.push(what)) })
  whole = await folderHash(target)
})
afterAll(() => rm(root, { recursive: true, force: true }))

/** Numbers from a seed. */
function* draws(seed: number, below: number): Generator<number> {
  for (let x = seed; ; ) {
    x = (Math.imul(x, 1664525) + 1013904223) >>> 0
    yield 1 + Math.floor((x / 2 ** 32) * below)
  }
}

let count = 0
const fresh = (): string => join(root, `out-${count++}`)
/** Runs until moment `at`, where `then` happens. */
const until = (target: string, at: number, then: () => void, options: ConvertFolderOptions = {}) => {
  let moment = 0
  return conversionRun(source, target, { ...options, work: watchedWork(diskWork(target), () => void (++moment === at && then())) })
}
const full = () => {
  throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC', errno: -28, syscall: 'write' })
}

describe('a conversion that is ended', () => {
  it('writes several shards of a source that stays as it was', async () => {
    expect(Object.keys(whole).filter(f => f.endsWith('.safetensors')).length).toBeGreaterThan(2)
    expect(await folderHash(source)).toEqual(await folderHash(here('../../models/test/fixtures/llama-gqa-tied')))
    expect(moments.length).toBeGreaterThan(40)
  })

  it('by a full disk says so, and goes on to the same bytes', async () => {
    const at = draws(1, moments.length)
    for (let i = 0; i < 8; i++) {
      const [target, moment] = [fresh(), at.next().value!]
      const failed = until(target, moment, full)
      await expect(failed, moments[moment - 1]).rejects.toThrow(
        expect.objectContaining({ code: 'ERR_WRITE', data: expect.objectContaining({ code: 'ENOSPC' }) }),
      )
      if (moments[moment - 1] !== 'after the commit') await expect(readdir(target)).rejects.toThrow('ENOENT')
      await conversionRun(source, target)
      expect(await folderHash(target), moments[moment - 1]).toEqual(whole)
    }
  })

  it('by an abort again and again goes on after the last whole layer', async () => {
    const target = fresh()
    const resumed: number[] = []
    let ended = 0
    for (const at of [20, 12, 12, 12, 12]) {
      const stop = new AbortController()
      const done = await until(target, at, () => stop.abort(), { signal: stop.signal, onResume: e => resumed.push(e.layers) }).then(
        () => true,
        error => {
          expect(error).toMatchObject({ code: 'ERR_ABORTED' })
          return false
        },
      )
      if (done) break
      ended++
    }
    expect(ended).toBeGreaterThan(1)
    await conversionRun(source, target)
    expect(await folderHash(target)).toEqual(whole)
    expect(resumed.at(-1)).toBeGreaterThan(0)
    expect(await readdir(root)).not.toContain(`${target.split('/').pop()}.partial`)
  })

  it('before anything was finished leaves nothing', async () => {
    const target = fresh()
    await expect(until(target, 3, full)).rejects.toThrow(/ENOSPC/)
    expect((await readdir(root)).filter(f => f.startsWith(target.split('/').pop()!))).toEqual([])
  })

  it('keeps an earlier export until the new one is whole, and files beside it', async () => {
    const target = fresh()
    await conversionRun(source, target, { write: { dtype: 'f32', maxShardBytes: 1e9 } })
    await writeFile(join(target, 'notes.txt'), 'mine')
    const before = await folderHash(target)
    await expect(until(target, moments.indexOf('before the commit') + 1, full)).rejects.toThrow(/ENOSPC/)
    expect(await folderHash(target)).toEqual(before)
    await conversionRun(source, target)
    const { 'notes.txt': notes, ...rest } = await folderHash(target)
    expect(notes).toBe(before['notes.txt'])
    expect(rest).toEqual(whole)
  })
})

describe('what an ended conversion left', () => {
  const ended = async (at = moments.indexOf('after layer-00002.bin') + 1) => {
    const target = fresh()
    await expect(until(target, at, full)).rejects.toThrow(AttuneError)
    return target
  }
  it('is refused by name when it is of another conversion, and thrown away on demand', async () => {
    const target = await ended()
    await expect(conversionRun(source, target, { seed: 7 })).rejects.toThrow(
      expect.objectContaining({
        code: 'ERR_CONVERSION',
        message: expect.stringMatching(/out-\d+\.partial .* differs in seed \(0, now 7\)/),
      }),
    )
    await expect(conversionRun(source, target, { calibration: [1, 2, 3, 4] })).rejects.toThrow(/differs in calibration/)
    await conversionRun(source, target, { seed: 7, unfinished: 'restart' })
    expect(Object.keys(await folderHash(target))).toEqual(Object.keys(whole))
  })
  it('is refused where it is damaged', async () => {
    const torn = await ended()
    await writeFile(join(`${torn}.partial`, 'layer-00000.bin'), 'other')
    await expect(conversionRun(source, torn)).rejects.toThrow(/layer-00000\.bin is not what the journal wrote/)
    const lines = await ended()
    await writeFile(join(`${lines}.partial`, 'journal.jsonl'), 'nonsense\n')
    await expect(conversionRun(source, lines)).rejects.toThrow(expect.objectContaining({ code: 'ERR_FORMAT' }))
  })
  it('must be there when it is asked for', async () => {
    await expect(conversionRun(source, fresh(), { unfinished: 'resume' })).rejects.toThrow(/no unfinished conversion in .*\.partial/)
    const target = await ended()
    const seen: unknown[] = []
    await conversionRun(source, target, { unfinished: 'resume', onResume: e => seen.push(e.layers) })
    expect(seen).toEqual([1])
    expect(await folderHash(target)).toEqual(whole)
  })
})

describe('a process that is killed', () => {
  let child: string
  beforeAll(async () => {
    child = join(root, 'child.js')
    await build({
      config: false,
      entry: { child: here('../test/conversion-child.ts') },
      outDir: root,
      format: 'esm',
      target: 'es2022',
      platform: 'node',
      noExternal: [/.*/],
      splitting: false,
      silent: true,
      esbuildOptions: o => {
        o.conditions = ['attune-source']
      },
    })
  })
  it('leaves the source as it was; another goes on to the same bytes', async () => {
    const before = await folderHash(source)
    const at = draws(5, moments.length - 1)
    for (let i = 0; i < 4; i++) {
      const [target, moment] = [fresh(), at.next().value!]
      const args = [child, source, target]
      const killed = spawnSync(process.execPath, [...args, String(moment)], { encoding: 'utf8' })
      expect([killed.signal, killed.stderr], moments[moment - 1]).toEqual(['SIGKILL', ''])
      const next = spawnSync(process.execPath, args, { encoding: 'utf8' })
      expect([next.status, next.stderr], moments[moment - 1]).toEqual([0, ''])
      expect(await folderHash(target), moments[moment - 1]).toEqual(whole)
    }
    expect(await folderHash(source)).toEqual(before)
  })
})
