import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'

const types: Record<string, string> = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.wasm': 'application/wasm',
  '.json': 'application/json',
}
const isolation = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

export interface Served {
  /** Ends with a slash. */
  readonly url: string
  close(): Promise<void>
}

/** Serves a folder on the loopback, with ranges; `isolated`: with the headers that let workers share memory. */
export async function serve(folder: string, isolated: boolean): Promise<Served> {
  const server = createServer(async (request, response) => {
    const headers: Record<string, string> = isolated ? { ...isolation } : {}
    const path = normalize(decodeURIComponent(new URL(request.url!, 'http://x').pathname)).replace(/\/$/, '/index.html')
    try {
      const bytes = await readFile(join(folder, path))
      headers['content-type'] = types[extname(path)] ?? 'application/octet-stream'
      const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '')
      if (!range) return response.writeHead(200, headers).end(bytes)
      const [from, to] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)]
      headers['content-range'] = `bytes ${from}-${to}/${bytes.length}`
      response.writeHead(206, headers).end(bytes.subarray(from, to + 1))
    } catch {
      response.writeHead(404, headers).end()
    }
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () =>
      new Promise(done => {
        server.close(() => done())
        server.closeAllConnections()
      }),
  }
}
