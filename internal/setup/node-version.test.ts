import { spawnSync } from 'node:child_process'
import { expect, test } from 'vitest'

const under = (version: string) => {
  const pretend = `data:text/javascript,Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } })`
  const script = new URL('./node-version.mjs', import.meta.url).pathname
  return spawnSync(process.execPath, ['--import', pretend, script], { encoding: 'utf8' })
}

test('an old Node is refused with one sentence', () => {
  const { status, stderr } = under('20.18.3')
  expect(status).toBe(1)
  expect(stderr).toBe(
    'attune needs Node 20.19 or newer, but this is Node 20.18.3: install a newer one from https://nodejs.org and run the command again.\n',
  )
})

test.each(['20.19.0', '22.0.0', '24.1.0'])('Node %s is good enough', version => {
  expect(under(version)).toMatchObject({ status: 0, stderr: '' })
})
