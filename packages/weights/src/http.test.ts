import type { IncomingMessage, ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type HubServer, hubServer } from '../test/hub-server.ts'
import { tensorEntry } from './checkpoint.ts'
import { httpSource } from './http.ts'
import type { ByteSource } from './source.ts'

const bytes = Uint8Array.from({ length: 100_000 }, (_, i) => i * 7)
const large = Uint8Array.from({ length: 2_700_000 }, (_, i) => (i * 2654435761) >>> 13)
let server: HubServer
beforeEach(async () => {
  server = await hubServer({})
})
afterEach(() => server.close())

type Handler = (request: IncomingMessage, answer: ServerResponse, times: number) => void
const at = (path: string) => `${server.endpoint}${path}`
const open = (path = '/file', signal?: AbortSignal): Promise<ByteSource> => httpSource(at(path), { name: 'file', waitMs: 5, signal })
/** Serves the size, then what `handler` does with the first and later reads. */
const serve = (handler: Handler, whole = bytes) =>
  server.on('/file', (request, answer, times) => (times === 0 ? server.serve(whole)(request, answer) : handler(request, answer, times - 1)))
const ranges = () => server.log.map(line => line.split(' ')[2])

describe('httpSource', () => {
  it('reads parts, over relative redirects and those to another host, without the token there', async () => {
    const other = await hubServer({})
    const seen: unknown[] = []
    other.on('/there', (request, answer) => {
      seen.push(request.headers.authorization)
      other.serve(bytes)(request, answer)
    })
    server.on('/file', (request, answer) => {
      seen.push(request.headers.authorization)
      answer.writeHead(307, { location: 'sub/next' }).end()
    })
    server.on('/sub/next', (request, answer) => {
      seen.push(request.headers.authorization)
      answer.writeHead(302, { location: `${other.endpoint.replace('127.0.0.1', 'localhost')}/there` }).end()
    })
    const source = await httpSource(at('/file'), { headers: { authorization: 'Bearer secret' } })
    expect(source.size).toBe(bytes.length)
    expect(await source.read(70_000, 1234)).toEqual(bytes.slice(70_000, 71_234))
    await other.close()
    expect(seen).toEqual(Array(2).fill(['Bearer secret', 'Bearer secret', undefined]).flat())
  })

  it('gives up on redirects in a circle', async () => {
    server.on('/file', (_, answer) => void answer.writeHead(302, { location: '/file' }).end())
    await expect(open()).rejects.toMatchObject({ code: 'ERR_NETWORK' })
  })

  it('goes on where a connection broke or an answer was too short', async () => {
    serve((request, answer, times) => {
      const from = Number(/bytes=(\d+)/.exec(request.headers.range!)![1])
      const head = { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}`, etag: '"v1"' }
      if (times === 0) {
        answer.writeHead(206, { ...head, 'content-length': bytes.length - from })
        return void answer.write(bytes.subarray(from, from + 5000), () => setTimeout(() => answer.destroy(), 30))
      }
      if (times === 1) return void answer.writeHead(206, head).end(bytes.subarray(from, from + 400)) // ends as if it were all
      server.serve(bytes)(request, answer)
    })
    const source = await open()
    expect(await source.read(10_000, 80_000)).toEqual(bytes.slice(10_000, 90_000))
    expect(ranges()).toEqual(['bytes=0-0', 'bytes=10000-89999', 'bytes=15000-89999', 'bytes=15400-89999'])
  })

  it('gives up when nothing comes any more', async () => {
    serve((_, answer) => answer.writeHead(206, { 'content-range': `bytes 0-9/${bytes.length}`, etag: '"v1"' }).end())
    const source = await open()
    await expect(source.read(0, 10)).rejects.toMatchObject({ code: 'ERR_NETWORK', data: { expected: 10, got: 0 } })
    expect(server.log.length).toBe(5) // the size, then four tries
  })

  it('waits as long as a busy server asks, and not for hours', async () => {
    const moments: number[] = []
    server.on('/file', (request, answer, times) => {
      moments.push(performance.now())
      if (times === 0) return void answer.writeHead(429, { 'retry-after': '1' }).end()
      if (times === 1) return void answer.writeHead(503).end()
      server.serve(bytes)(request, answer)
    })
    expect((await open()).size).toBe(bytes.length)
    expect(moments[1] - moments[0]).toBeGreaterThan(950)
    expect(moments.length).toBe(3)
    server.on('/busy', (_, answer) => void answer.writeHead(503, { 'retry-after': '3600' }).end())
    const error = await open('/busy').catch(e => e)
    expect(error).toMatchObject({ code: 'ERR_NETWORK', data: { status: 503 } })
    expect(error.message).toContain('asks to wait 3600 s')
    const date = new Date(Date.now() + 7_200_000).toUTCString()
    server.on('/later', (_, answer) => void answer.writeHead(429, { 'retry-after': date }).end())
    expect((await open('/later').catch(e => e)).message).toMatch(/asks to wait 7(19|20)\d s/)
  })

  it('stops waiting when aborted', async () => {
    server.on('/file', (_, answer) => void answer.writeHead(503, { 'retry-after': '30' }).end())
    const started = performance.now()
    await expect(open('/file', AbortSignal.timeout(50))).rejects.toMatchObject({ code: 'ERR_ABORTED' })
    expect(performance.now() - started).toBeLessThan(2000)
  })

  it.each<[string, Handler]>([
    ['another length', (request, answer) => server.serve(bytes.subarray(0, 50_000))(request, answer)],
    ['nothing there any more (416)', (_, answer) => void answer.writeHead(416, { 'content-range': 'bytes */50' }).end()],
    [
      'the same length under another etag',
      (_, answer) =>
        void answer.writeHead(206, { 'content-range': `bytes 100-109/${bytes.length}`, etag: '"v2"' }).end(bytes.subarray(0, 10)),
    ],
  ])('refuses a file that changed meanwhile: %s', async (_, handler) => {
    serve(handler)
    const source = await open()
    await expect(source.read(100, 10)).rejects.toMatchObject({ code: 'ERR_FORMAT', data: { file: 'file', field: 'length' } })
  })

  it('refuses servers without ranges, and wrong ones', async () => {
    server.on('/file', (_, answer) => void answer.end(bytes))
    await expect(open()).rejects.toMatchObject({ code: 'ERR_NETWORK', data: { status: 200 } })
    server.on('/wrong', (_, answer) => void answer.writeHead(206, { 'content-range': 'bytes 5-5/9' }).end('x'))
    await expect(open('/wrong')).rejects.toMatchObject({ code: 'ERR_NETWORK', data: { status: 206 } })
    server.on('/unknown', (_, answer) => void answer.writeHead(206, { 'content-range': 'bytes 0-0/*' }).end('x'))
    await expect(open('/unknown')).rejects.toMatchObject({ code: 'ERR_NETWORK' })
    await expect(open('/none')).rejects.toMatchObject({ code: 'ERR_NOT_FOUND', data: { status: 404 } })
  })

  it('brings a tensor in pieces with one request, or as many as it breaks', async () => {
    serve((request, answer, times) => {
      if (times > 0) return server.serve(large)(request, answer)
      answer.writeHead(206, { 'content-range': `bytes 1000-${large.length - 1}/${large.length}`, etag: '"v1"' })
      answer.write(large.subarray(1000, 1_700_000), () => setTimeout(() => answer.destroy(), 50))
    }, large)
    const source = await open()
    for (const order of [undefined, { group: 100, of: (row: number) => row - (row % 100) + 99 - (row % 100) }]) {
      const shape = [26_000, 50]
      const tensor = tensorEntry(source, { name: 't', dtype: 'u16', shape, byteOffset: 1000 }, order)
      const got: Uint8Array[] = []
      for await (const piece of tensor.pieces()) got.push(piece.slice())
      expect(got.length).toBe(3)
      const row = (i: number) => large.subarray(1000 + 100 * i, 1100 + 100 * i)
      const want = order ? Array.from({ length: 26_000 }, (_, i) => row(order.of(i))) : [large.subarray(1000, 2_601_000)]
      expect(Buffer.compare(Buffer.concat(got), Buffer.concat(want))).toBe(0)
      expect(Buffer.compare(await tensor.read(), Buffer.concat(want))).toBe(0)
    }
    expect(ranges().map(r => r.split('-')[0])).toEqual(['bytes=0', 'bytes=1000', 'bytes=1700000', 'bytes=1000', 'bytes=1000', 'bytes=1000'])
  })

  it('knows an empty file', async () => {
    server.on('/file', server.serve(new Uint8Array(0)))
    const source = await open()
    expect(source.size).toBe(0)
    expect(await source.read(0, 0)).toEqual(new Uint8Array(0))
  })
})
