import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { COMMIT, type HubServer, hubServer } from '../../test/hub-server.ts'
import { makeSafetensors } from '../../test/make.ts'
import { type OpenOptions, openModel } from './open.ts'

const weights = makeSafetensors({ w: { dtype: 'F32', shape: [1000], data_offsets: [0, 4000] } }, new Uint8Array(4000))
const config = new TextEncoder().encode(JSON.stringify({ model_type: 'llama' }))

let server: HubServer
let cache: string
const open = (options: OpenOptions = {}, ref = 'org/model') =>
  openModel(ref, { cache, endpoint: server.endpoint, token: '', packages: {}, ...options })
const failure = (options: OpenOptions = {}, ref?: string) =>
  open(options, ref).then(
    c => c.close(),
    e => e,
  )

beforeEach(async () => {
  cache = await mkdtemp(join(tmpdir(), 'attune-url-'))
  server = await hubServer({ 'config.json': config, 'model.safetensors': weights })
})
afterEach(async () => {
  await server.close()
  await rm(cache, { recursive: true, force: true })
})

describe('an address', () => {
  it('of the hub is its repository', async () => {
    for (const page of [
      'org/model',
      'org/model/tree/main',
      'org/model/blob/main/model.safetensors',
      `org/model/resolve/${COMMIT}/model.safetensors`,
    ]) {
      const checkpoint = await open({ remote: true }, `${server.endpoint}/${page}?x=1`)
      expect(checkpoint.name).toBe('org/model')
      await checkpoint.close()
    }
    for (const other of [`${server.endpoint}/datasets/org/model/x`, `${server.endpoint}/%zz/model`, 'https://'])
      expect(await failure({}, other)).toMatchObject({ code: 'ERR_NOT_FOUND' })
    const inside = await hubServer({})
    for (const file of ['model.safetensors', 'config.json'])
      inside.on(`/hub/org/model/resolve/${COMMIT}/${file}`, inside.serve(file === 'config.json' ? config : weights))
    const siblings = [
      { rfilename: 'config.json', size: config.length },
      { rfilename: 'model.safetensors', size: weights.length },
    ]
    inside.on('/hub/api/models/org/model/revision/main', (_, answer) => void answer.end(JSON.stringify({ sha: COMMIT, siblings })))
    const endpoint = `${inside.endpoint}/hub`
    await (await open({ remote: true, endpoint }, `${endpoint}/org/model`)).close()
    await inside.close()
  })

  it('of a weight file elsewhere is read by ranges, without a token', async () => {
    const other = await hubServer({})
    const seen: unknown[] = []
    other.on('/some/model%20a.safetensors', (request, answer) => {
      seen.push(request.headers.authorization)
      other.serve(weights)(request, answer)
    })
    other.on('/some/config.json', other.serve(config))
    const url = `${other.endpoint}/some/model a.safetensors?key=1`
    const checkpoint = await open({ token: 'secret' }, url)
    expect(checkpoint.config).toEqual({ model_type: 'llama' })
    expect(checkpoint.tensors.get('w')?.shape).toEqual([1000])
    expect(seen.every(token => token === undefined)).toBe(true)
    const read = other.log.filter(l => l.includes('model')).map(l => /bytes=(\d+)-(\d+)/.exec(l)!)
    expect(Math.max(...read.map(r => Number(r[2])))).toBeLessThan(weights.length - 4000)
    await checkpoint.close()
    expect(await failure({ offline: true }, url)).toMatchObject({ code: 'ERR_NOT_FOUND' })
    expect(await failure({}, `${other.endpoint}/some/page.html`)).toMatchObject({ code: 'ERR_NOT_FOUND' })
    await other.close()
  })
})
