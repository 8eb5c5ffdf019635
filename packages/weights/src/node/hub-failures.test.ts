import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { COMMIT, type HubServer, hubServer } from '../../test/hub-server.ts'
import { makeSafetensors } from '../../test/make.ts'
import { download } from './download.ts'
import { listHub } from './hub.ts'
import { type OpenOptions, openModel } from './open.ts'

const weights = makeSafetensors(
  { w: { dtype: 'F32', shape: [1000], data_offsets: [0, 4000] } },
  new Uint8Array(Float32Array.from({ length: 1000 }, (_, i) => i).buffer),
)
const json = (x: unknown) => new TextEncoder().encode(JSON.stringify(x))
const config = json({ model_type: 'llama' })
const LISTING = '/api/models/org/model/revision/main'
const RESOLVE = `/org/model/resolve/${COMMIT}`

let server: HubServer
let cache: string
const open = (options: OpenOptions = {}, ref = 'org/model') =>
  openModel(ref, { cache, endpoint: server.endpoint, token: '', packages: {}, ...options })
const failure = (options: OpenOptions = {}, ref?: string) =>
  open(options, ref).then(
    c => c.close(),
    e => e,
  )
const refuse = (path: string, status: number, headers: Record<string, string> = {}) =>
  server.on(path, (_, answer) => void answer.writeHead(status, headers).end())

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'attune-hub-'))
  server = await hubServer({ 'config.json': config, 'model.safetensors': weights })
  vi.stubEnv('HF_HOME', join(cache, 'hf'))
  for (const name of ['HF_TOKEN', 'HF_HUB_OFFLINE', 'HF_HUB_CACHE', 'HF_TOKEN_PATH', 'HUGGING_FACE_HUB_TOKEN']) vi.stubEnv(name, '')
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await server.close()
  await rm(cache, { recursive: true, force: true })
})

describe('the listing', () => {
  it('is read page by page where the short one has no sizes', async () => {
    const siblings = ['config.json', 'model.safetensors'].map(rfilename => ({ rfilename }))
    server.on(LISTING, (_, answer) => void answer.end(JSON.stringify({ sha: COMMIT, siblings })))
    const tree = `/api/models/org/model/tree/${COMMIT}`
    const entry = (path: string, bytes: Uint8Array, more = {}) => ({ type: 'file', path, size: bytes.length, oid: 'a'.repeat(40), ...more })
    server.on(tree, (request, answer) => {
      const { searchParams } = new URL(request.url!, server.endpoint)
      expect(searchParams.get('recursive')).toBe('true')
      if (searchParams.has('cursor'))
        return void answer.end(
          JSON.stringify([entry('model.safetensors', weights, { lfs: { oid: 'b'.repeat(64), size: weights.length } })]),
        )
      answer.setHeader('link', `<${server.endpoint}${tree}?recursive=true&cursor=2>; rel="next"`)
      answer.end(
        JSON.stringify([{ type: 'directory', path: 'sub', oid: 'x' }, entry('config.json', config), entry('sub/a b.json', config)]),
      )
    })
    const { files } = await listHub({ id: 'org/model', revision: 'main' }, { endpoint: server.endpoint, token: '' })
    expect(files.map(f => f.name)).toEqual(['config.json', 'sub/a b.json', 'model.safetensors'])
    expect(files[1].url).toBe(`${server.endpoint}${RESOLVE}/sub/a%20b.json`)
    expect(files[0]).toMatchObject({ gitId: 'a'.repeat(40), size: config.length, sha256: undefined })
    expect(files[2]).toMatchObject({ gitId: undefined, size: weights.length, sha256: 'b'.repeat(64) })
    server.on(tree, (_, answer) => {
      answer.setHeader('link', '<http://localhost:1/more>; rel="next"')
      answer.end('[]')
    })
    expect((await failure()).message).toContain('continues on another host')
    refuse(tree, 404)
    await (await open()).close() // without sizes: the server's own word counts
  })

  it('is asked for again as late as a busy hub says, and not when it cannot be reached', async () => {
    const good = json({
      sha: COMMIT,
      siblings: [
        { rfilename: 'config.json', size: config.length },
        { rfilename: 'model.safetensors', size: weights.length },
      ],
    })
    server.on(LISTING, (_, answer, times) => {
      if (times === 0) answer.writeHead(429, { 'retry-after': '0' }).end()
      else if (times === 1) answer.writeHead(502).end()
      else answer.end(good)
    })
    await (await open()).close()
    expect(server.log.filter(line => line.includes(LISTING)).length).toBe(3)
    refuse('/api/models/org/busy/revision/main', 429, { 'retry-after': '1800' })
    const busy = await failure({}, 'org/busy')
    expect(busy).toMatchObject({ code: 'ERR_NETWORK', data: { status: 429 } })
    expect(busy.message).toMatch(/asks to wait 1800 s; with HF_TOKEN set/)
    const { endpoint } = server
    await server.close()
    const started = performance.now()
    expect(await failure({ endpoint }, 'org/busy')).toMatchObject({ code: 'ERR_NETWORK' })
    expect(performance.now() - started).toBeLessThan(1000)
    server = await hubServer({})
  })

  it.each(['../../evil', '/etc/passwd', 'a/../../b', 'a\\..\\b', 'C:x', 'a//b', 'a\0b', '.', ''])('may not name %j', async name => {
    server.on(LISTING, (_, answer) => void answer.end(JSON.stringify({ sha: COMMIT, siblings: [{ rfilename: name, size: 1 }] })))
    const error = await failure()
    expect(error).toMatchObject({ code: 'ERR_NETWORK' })
    expect(error.message).toContain('the listing names a file')
    expect(await readdir(cache)).toEqual([])
  })

  it.each([['<html>log in</html>'], ['[]'], ['{"sha":"../x","siblings":[]}'], ['null'], ['{"sha":"']])('may not be %s', async text => {
    server.on(LISTING, (_, answer) => void answer.writeHead(200, { 'content-type': 'text/html' }).end(text))
    expect(await failure()).toMatchObject({ code: 'ERR_NETWORK', data: { url: expect.stringContaining(LISTING) } })
  })
})

describe('a download', () => {
  it('of a page in place of a file is refused', async () => {
    const page = new TextEncoder().encode('<html>please log in</html>'.padEnd(config.length))
    server.on(`${RESOLVE}/config.json`, server.serve(page.subarray(0, config.length)))
    expect((await failure()).message).toMatch(/config.json: git id is/)
    server.on(`${RESOLVE}/config.json`, (_, answer) => void answer.writeHead(200, { 'content-type': 'text/html' }).end('<html>'))
    expect(await failure()).toMatchObject({ code: 'ERR_NETWORK' })
    expect((await readdir(cache, { recursive: true })).some(name => name.endsWith('config.json'))).toBe(false)
  }, 30_000)

  it('says what to do about a gated file', async () => {
    refuse(`${RESOLVE}/config.json`, 403, { 'x-error-code': 'GatedRepo' })
    expect((await failure()).message).toContain('then set HF_TOKEN')
    expect((await failure({ token: 'x' })).message).toContain('has no access yet')
    refuse(LISTING, 403, { 'x-error-code': 'DisabledRepo' })
    expect((await failure()).message).toContain('was disabled')
    refuse(LISTING, 403, { 'x-error-message': 'your token is too weak' })
    expect((await failure({ token: 'x' })).message).toContain('HF_TOKEN does not give access to it (your token is too weak)')
  })

  const url = () => `${server.endpoint}/file`
  const path = () => join(cache, 'file')
  const cut = (answer: ServerResponse, etag?: string) => {
    answer.writeHead(200, { 'content-length': weights.length, ...(etag ? { etag } : {}) })
    answer.write(weights.subarray(0, 1000), () => setTimeout(() => answer.destroy(), 50))
  }

  it('starts again when the file is another by now, or nothing could tell', async () => {
    const conditions: unknown[] = []
    server.on('/file', (request, answer, times) => {
      conditions.push([request.headers.range, request.headers['if-range']])
      if (times === 0) return cut(answer, '"old"')
      answer.writeHead(200, { 'content-length': weights.length, etag: '"new"' }).end(weights) // If-Range did not hold
    })
    await download(url(), path(), { waitMs: 5 })
    expect(conditions).toEqual([
      [undefined, undefined],
      ['bytes=1000-', '"old"'],
    ])
    expect(await readFile(path())).toEqual(Buffer.from(weights))
    await rm(path())
    server.on('/plain', (request, answer, times) => (times === 0 ? cut(answer) : server.serve(weights)(request, answer)))
    await download(`${server.endpoint}/plain`, path(), { waitMs: 5 })
    expect(server.log.filter(l => l.includes('plain'))).toEqual(['GET /plain', 'GET /plain'])
    expect(await readFile(path())).toEqual(Buffer.from(weights))
  })

  it('is taken up when nothing arrives any more, before the head or after it', async () => {
    server.on('/file', (request, answer, times) => {
      if (times === 0) return
      if (times > 1) return server.serve(weights)(request, answer)
      answer.writeHead(200, { 'content-length': weights.length, etag: '"v1"' })
      answer.write(weights.subarray(0, 2000))
    })
    await download(url(), path(), { waitMs: 5, stallMs: 150 })
    expect(server.log).toEqual(['GET /file', 'GET /file', 'GET /file bytes=2000-'])
    expect(await readFile(path())).toEqual(Buffer.from(weights))
  })

  it('waits as long as a busy server asks', async () => {
    const moments: number[] = []
    server.on('/file', (request, answer, times) => {
      moments.push(performance.now())
      if (times === 0) answer.writeHead(503, { 'retry-after': '1' }).end()
      else server.serve(weights)(request, answer)
    })
    await download(url(), path(), { waitMs: 5 })
    expect(moments[1] - moments[0]).toBeGreaterThan(950)
  })

  it('twice at once gives the file once', async () => {
    server.on('/file', server.serve(weights))
    await Promise.all([1, 2, 3].map(() => download(url(), path(), { waitMs: 5 })))
    expect(await readFile(path())).toEqual(Buffer.from(weights))
    expect((await readdir(cache)).filter(name => name.startsWith('file'))).toEqual(['file'])
  })
})

describe('the environment', () => {
  const seen: unknown[] = []
  const listed = async () => {
    seen.length = 0
    server.on(LISTING, (request, answer) => {
      seen.push(request.headers.authorization)
      answer.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end()
    })
    const error = await failure({ token: undefined, endpoint: undefined })
    expect(error.code).toBe(seen.length ? 'ERR_NOT_FOUND' : error.code)
    return seen[0] ?? error
  }

  it('says where, as whom, and whether to ask', async () => {
    vi.stubEnv('HF_ENDPOINT', `${server.endpoint}/`)
    expect(await listed()).toMatchObject({ code: 'ERR_NOT_FOUND' }) // asked without a token
    expect(seen).toEqual([undefined])
    await mkdir(join(cache, 'hf'), { recursive: true })
    await writeFile(join(cache, 'hf/token'), 'from-file\n')
    expect(await listed()).toBe('Bearer from-file')
    vi.stubEnv('HF_TOKEN', 'from-env')
    expect(await listed()).toBe('Bearer from-env')
    vi.stubEnv('HF_TOKEN', 'two\nlines')
    expect(await listed()).toMatchObject({ code: 'ERR_ARGUMENT' })
    vi.stubEnv('HF_TOKEN', '')
    vi.stubEnv('HF_HUB_DISABLE_IMPLICIT_TOKEN', '1')
    await listed()
    expect(seen).toEqual([undefined])
    vi.stubEnv('HF_HUB_OFFLINE', 'YES')
    expect(await listed()).toMatchObject({ code: 'ERR_NOT_FOUND', message: expect.stringContaining('offline') })
    expect(seen).toEqual([])
  })

  it("reads the cache of Hugging Face's tools: refs, snapshots of links, blobs", async () => {
    const root = join(cache, 'hf/hub/models--org--model')
    const snapshot = join(root, 'snapshots', COMMIT)
    for (const folder of ['blobs', 'refs/refs/pr', `snapshots/${COMMIT}`]) await mkdir(join(root, folder), { recursive: true })
    const put = async (name: string, bytes: Uint8Array) => {
      await writeFile(join(root, 'blobs', `blob-of-${name}`), bytes)
      await symlink(`../../blobs/blob-of-${name}`, join(snapshot, name))
    }
    await put('config.json', config)
    await writeFile(join(root, 'refs/main'), COMMIT)
    await writeFile(join(root, 'refs/refs/pr/3'), `${COMMIT}\n`)
    expect(await failure({ offline: true })).toMatchObject({ code: 'ERR_NOT_FOUND' }) // a part of a repository
    await put('model.safetensors', weights)
    for (const ref of ['org/model', `org/model@${COMMIT}`, 'org/model@refs/pr/3']) {
      const checkpoint = await open({ offline: true }, ref)
      expect(checkpoint.tensors.get('w')?.shape).toEqual([1000])
      await checkpoint.close()
    }
    await (await open({ offline: true, remote: true })).close()
    expect(await failure({ offline: true }, 'org/model@other')).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(server.log).toEqual([])
    await (await open()).close() // it lacks a tokenizer, which the hub may have
    expect(server.log.length).toBeGreaterThan(0)
  })
})
