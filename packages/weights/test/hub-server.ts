import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export const COMMIT = 'c'.repeat(40)
type Handler = (request: IncomingMessage, answer: ServerResponse) => void

export interface HubServer {
  readonly endpoint: string
  /** `METHOD path range` of every request, in order. */
  readonly log: string[]
  /** Replaces the answer to one path; called with how often it was asked before. */
  on(path: string, handler: (request: IncomingMessage, answer: ServerResponse, times: number) => void): void
  /** Serves bytes as the hub does, ranges included. */
  readonly serve: (bytes: Uint8Array) => Handler
  close(): Promise<void>
}

/** A loopback hub with one repository `org/model`. Files over `lfsFrom` bytes are LFS objects. */
export async function hubServer(files: Record<string, Uint8Array>, lfsFrom = 100): Promise<HubServer> {
  const handlers = new Map<string, (request: IncomingMessage, answer: ServerResponse, times: number) => void>()
  const times = new Map<string, number>()
  const log: string[] = []
  const siblings = Object.entries(files).map(([rfilename, bytes]) => ({
    rfilename,
    size: bytes.length,
    blobId: createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex'),
    ...(bytes.length >= lfsFrom ? { lfs: { sha256: createHash('sha256').update(bytes).digest('hex'), size: bytes.length } } : {}),
  }))
  for (const revision of ['main', COMMIT])
    handlers.set(`/api/models/org/model/revision/${revision}`, (_, answer) => answer.end(JSON.stringify({ sha: COMMIT, siblings })))
  for (const [name, bytes] of Object.entries(files)) handlers.set(`/org/model/resolve/${COMMIT}/${name}`, serve(bytes))

  const server: Server = createServer((request, answer) => {
    const path = request.url!.split('?')[0]
    log.push([request.method, path, request.headers.range].filter(Boolean).join(' '))
    const before = times.get(path) ?? 0
    times.set(path, before + 1)
    const handler = handlers.get(path)
    if (handler) handler(request, answer, before)
    else answer.writeHead(404, { 'x-error-code': 'RepoNotFound' }).end()
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    log,
    on: (path, handler) => void handlers.set(path, handler),
    serve,
    close: () =>
      new Promise(done => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

function serve(bytes: Uint8Array): Handler {
  return (request, answer) => {
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    if (!range) return void answer.writeHead(200, { 'content-length': bytes.length, etag: '"v1"' }).end(bytes)
    const start = Number(range[1])
    const end = range[2] ? Number(range[2]) + 1 : bytes.length
    if (start >= bytes.length) return void answer.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
    const part = bytes.subarray(start, end)
    answer
      .writeHead(206, {
        'content-length': part.length,
        'content-range': `bytes ${start}-${start + part.length - 1}/${bytes.length}`,
        etag: '"v1"',
      })
      .end(part)
  }
}
