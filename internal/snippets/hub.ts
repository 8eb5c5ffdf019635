import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

const COMMIT = 'd'.repeat(40)

/** A loopback Hugging Face Hub that has the given folders as models, with what snippets need of its listing, files and ranges. */
export async function loopbackHub(models: Readonly<Record<string, string>>): Promise<{ endpoint: string; close(): Promise<void> }> {
  const listings = new Map<string, string>()
  for (const [id, folder] of Object.entries(models)) listings.set(id, JSON.stringify({ sha: COMMIT, siblings: await siblingsOf(folder) }))
  const server = createServer(async (request, answer) => {
    const { pathname } = new URL(request.url!, 'http://hub')
    const listing = /^\/api\/models\/([^/]+\/[^/]+)/.exec(pathname)
    const file = /^\/([^/]+\/[^/]+)\/resolve\/[^/]+\/(.+)$/.exec(pathname)
    const missing = () => void answer.writeHead(404, { 'x-error-code': 'EntryNotFound' }).end()
    if (listing && listings.has(listing[1])) return void answer.end(listings.get(listing[1]))
    const path = file && models[file[1]] && join(models[file[1]], file[2])
    const size = path ? (await stat(path).catch(() => undefined))?.size : undefined
    if (!path || size === undefined) return missing()
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '')
    const [start, end] = range ? [Number(range[1]), range[2] ? Math.min(Number(range[2]), size - 1) : size - 1] : [0, size - 1]
    answer.writeHead(range ? 206 : 200, {
      'content-length': end - start + 1,
      etag: '"v1"',
      ...(range ? { 'content-range': `bytes ${start}-${end}/${size}` } : {}),
    })
    if (request.method === 'HEAD') return void answer.end()
    createReadStream(path, { start, end }).pipe(answer)
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise(done => {
        server.closeAllConnections()
        server.close(() => done())
      }),
  }
}

async function siblingsOf(folder: string) {
  const names = (await readdir(folder, { recursive: true, withFileTypes: true })).filter(e => e.isFile())
  return Promise.all(
    names.map(async entry => {
      const bytes = await readFile(join(entry.parentPath, entry.name))
      const size = bytes.length
      return {
        rfilename: join(entry.parentPath, entry.name).slice(folder.length + 1),
        size,
        blobId: createHash('sha1').update(`blob ${size}\0`).update(bytes).digest('hex'),
      }
    }),
  )
}
