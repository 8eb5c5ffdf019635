import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COMMIT, type HubServer, hubServer } from '../../test/hub-server.ts'
import { makeSafetensors } from '../../test/make.ts'
import { floats } from '../checkpoint.ts'
import { parseHubRef } from './hub.ts'
import { type ModelEvent, type OpenOptions, openModel } from './open.ts'

const values = Float32Array.from({ length: 50_000 }, (_, i) => i)
const weights = makeSafetensors({ w: { dtype: 'F32', shape: [50_000], data_offsets: [0, 200_000] } }, new Uint8Array(values.buffer))
const json = (x: unknown) => new TextEncoder().encode(JSON.stringify(x))
const files = {
  'config.json': json({ model_type: 'llama' }),
  'model.safetensors': weights,
  'README.md': json('no'),
  'pytorch_model.bin': new Uint8Array(500),
}
const WEIGHTS = `/org/model/resolve/${COMMIT}/model.safetensors`
const LISTING = '/api/models/org/model/revision/main'

let server: HubServer
let cache: string
const events: ModelEvent[] = []
const open = (options: OpenOptions = {}, ref = 'org/model') =>
  openModel(ref, { cache, endpoint: server.endpoint, token: '', onProgress: e => events.push(e), packages: {}, ...options })
const failure = (options: OpenOptions = {}, ref?: string) =>
  open(options, ref).then(
    () => undefined,
    e => e,
  )
const ranges = () => server.log.filter(line => line.includes('model.safetensors')).map(line => line.split(' ')[2])

beforeEach(async () => {
  events.length = 0
  cache = await mkdtemp(join(tmpdir(), 'attune-hub-'))
  server = await hubServer(files)
})
afterEach(async () => {
  await server.close()
  await rm(cache, { recursive: true, force: true })
})

describe('openModel from a hub', () => {
  it('downloads what the model needs, once', async () => {
    const first = await open()
    expect(first.config).toEqual({ model_type: 'llama' })
    expect(await floats(first.tensors.get('w')!)).toEqual(values)
    expect(first.name).toBe('org/model')
    await first.close()
    expect(server.log).toEqual([`GET ${LISTING}`, `GET /org/model/resolve/${COMMIT}/config.json`, `GET ${WEIGHTS}`])
    expect(events.filter(e => e.kind !== 'progress').map(e => `${e.kind} ${e.source}`)).toEqual([
      'try cache',
      'skip cache',
      'try hub',
      'found hub',
    ])
    expect(events.filter(e => e.kind === 'progress').at(-1)).toMatchObject({
      file: 'model.safetensors',
      loaded: weights.length,
      total: weights.length,
    })

    await server.close()
    await (await open({ offline: true })).close()
    expect(events.at(-1)).toMatchObject({ kind: 'found', source: 'cache' })
  })

  it('follows redirects and keeps the token from other hosts', async () => {
    const other = await hubServer({})
    const tokens: unknown[] = []
    other.on('/blob', (request, answer) => {
      tokens.push(request.headers.authorization)
      other.serve(weights)(request, answer)
    })
    server.on(WEIGHTS, (request, answer) => {
      tokens.push(request.headers.authorization)
      answer.writeHead(302, { location: `${other.endpoint.replace('127.0.0.1', 'localhost')}/blob` }).end()
    })
    await (await open({ token: 'secret' })).close()
    await other.close()
    expect(tokens).toEqual(['Bearer secret', undefined])
  })

  it('goes on where a broken connection stopped', async () => {
    server.on(WEIGHTS, (request, answer, times) => {
      if (times > 0) return server.serve(weights)(request, answer)
      answer.writeHead(200, { 'content-length': weights.length, etag: '"v1"' })
      answer.write(weights.subarray(0, 70_000), () => setTimeout(() => answer.destroy(), 50))
    })
    await (await open()).close()
    expect(ranges()).toEqual([undefined, 'bytes=70000-'])
  })

  it('starts again when the server ignores the range or refuses it', async () => {
    const cut = (answer: import('node:http').ServerResponse) => {
      answer.writeHead(200, { 'content-length': weights.length })
      answer.write(weights.subarray(0, 1000), () => setTimeout(() => answer.destroy(), 400))
    }
    server.on(WEIGHTS, (request, answer, times) => {
      if (times === 0) return cut(answer)
      if (times === 1) return void answer.writeHead(416, { 'content-range': `bytes */${weights.length}` }).end()
      if (times === 2) return cut(answer)
      answer.writeHead(200, { 'content-length': weights.length }).end(weights)
      void request
    })
    await (await open()).close()
    expect(ranges()).toEqual([undefined, 'bytes=1000-', undefined, 'bytes=1000-'])
  })

  it('refuses files of another length', async () => {
    server.on(WEIGHTS, server.serve(weights.slice(0, -4)))
    expect(await failure()).toMatchObject({ code: 'ERR_NETWORK', data: { size: weights.length, total: weights.length - 4 } })
    server.on(WEIGHTS, (_, answer) => void answer.writeHead(200).end(Buffer.concat([weights, weights])))
    expect((await failure()).message).toMatch(/more than the 20\d+ bytes announced/)
  }, 20_000)

  it('refuses content with another checksum, large files and small', async () => {
    server.on(WEIGHTS, server.serve(weights.map((b, i) => (i === 9999 ? b ^ 1 : b))))
    expect(await failure()).toMatchObject({ code: 'ERR_FORMAT', data: { file: 'model.safetensors' } })
    server.on(`/org/model/resolve/${COMMIT}/config.json`, server.serve(json({ model_type: 'LLAMA' })))
    await rm(cache, { recursive: true })
    expect((await failure()).message).toMatch(/config.json: git id is/)
    expect((await readdir(cache, { recursive: true })).filter(f => /\.(part|json|safetensors)$/.test(f))).toEqual([])
  })

  it('says what to do about gated, private and missing models', async () => {
    const refuse = (status: number, code?: string) =>
      server.on(LISTING, (_, answer) => void answer.writeHead(status, code ? { 'x-error-code': code } : {}).end())
    refuse(401, 'GatedRepo')
    expect(await failure()).toMatchObject({ code: 'ERR_NETWORK', data: { gated: true, model: 'org/model' } })
    expect((await failure()).message).toContain(`accept its terms at ${server.endpoint}/org/model`)
    refuse(401, 'RepoNotFound')
    expect((await failure()).message).toMatch(/set HF_TOKEN/)
    expect((await failure({ token: 'x' })).message).toMatch(/HF_TOKEN does not give access/)
    refuse(404, 'RevisionNotFound')
    expect(await failure()).toMatchObject({ code: 'ERR_NOT_FOUND', data: { reason: 'RevisionNotFound' } })
    server.on(LISTING, (_, answer) => void answer.end('<html>'))
    expect(await failure()).toMatchObject({ code: 'ERR_NETWORK' })
    server.on(LISTING, (_, answer) => void answer.end(JSON.stringify({ sha: COMMIT, siblings: [{ rfilename: '../../evil' }] })))
    expect((await failure()).message).toMatch(/the listing names a file/)
  })

  it('stops when aborted and goes on later', async () => {
    const stop = new AbortController()
    server.on(WEIGHTS, (request, answer, times) => {
      if (times > 0) return server.serve(weights)(request, answer)
      answer.writeHead(200, { 'content-length': weights.length, etag: '"v1"' })
      answer.write(weights.subarray(0, 5000))
    })
    const stopAt = (e: ModelEvent) => e.kind === 'progress' && e.file === 'model.safetensors' && stop.abort()
    const started = performance.now()
    expect(await failure({ signal: stop.signal, onProgress: stopAt })).toMatchObject({ code: 'ERR_ABORTED' })
    expect(performance.now() - started).toBeLessThan(2000)
    await (await open()).close()
    expect(ranges()).toEqual([undefined, 'bytes=5000-'])
  })

  it('reads headers where they are when asked to', async () => {
    const checkpoint = await open({ remote: true })
    const bytes = ranges()
      .map(r => /bytes=(\d+)-(\d+)/.exec(r)!)
      .reduce((n, [, a, b]) => n + Number(b) - Number(a) + 1, 0)
    expect(bytes).toBeLessThan(200)
    expect(await floats(checkpoint.tensors.get('w')!)).toEqual(values)
    expect(await readdir(cache)).toEqual([])
    server.on(WEIGHTS, server.serve(weights.slice(4)))
    await expect(checkpoint.tensors.get('w')!.read()).rejects.toMatchObject({ code: 'ERR_FORMAT' })
  })

  it('keeps revisions apart', async () => {
    await (await open({}, `org/model@${COMMIT}`)).close()
    expect(await failure({ offline: true })).toMatchObject({ code: 'ERR_NOT_FOUND' })
    await (await open({ offline: true }, `org/model@${COMMIT}`)).close()
    expect(JSON.parse(await readFile(join(cache, 'hub/org--model', COMMIT, 'attune.json'), 'utf8')).files.length).toBe(2)
  })

  it('does not take a folder that lost a file for a model', async () => {
    await (await open()).close()
    await rm(join(cache, 'hub/org--model', COMMIT, 'model.safetensors'))
    await (await open()).close()
    expect(ranges().length).toBe(2)
  })
})

describe('parseHubRef', () => {
  it.each([
    ['org/name', { id: 'org/name', revision: 'main' }],
    ['gpt2', { id: 'gpt2', revision: 'main' }],
    ['org/name@v1.0', { id: 'org/name', revision: 'v1.0' }],
    ['org/name@refs/pr/3', { id: 'org/name', revision: 'refs/pr/3' }],
    ['org/name:sub/x.Q4_1.gguf', { id: 'org/name', revision: 'main', file: 'sub/x.Q4_1.gguf' }],
    ['org/name@v1:x.gguf', { id: 'org/name', revision: 'v1', file: 'x.gguf' }],
    ['../x', undefined],
    ['a/b/c', undefined],
    ['a/..', undefined],
    ['', undefined],
    ['a b', undefined],
  ])('%s', (ref, parsed) => expect(parseHubRef(ref)).toEqual(parsed))
})
