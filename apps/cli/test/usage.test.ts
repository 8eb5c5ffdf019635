import { expect, it } from 'vitest'
import { commands } from '../src/commands/index.ts'
import { attune, toy } from './cli.ts'

it('every command has a help text and the common flags', async () => {
  const { code, output } = await attune(['--help'])
  expect(code).toBe(0)
  for (const { name, summary } of commands) {
    expect(output).toContain(name)
    const help = await attune([name, '--help'])
    expect(help.code).toBe(0)
    expect(help.output.replace(/\s+/g, ' ')).toContain(summary)
    for (const flag of ['--device', '--threads', '--json', '--quiet', '--no-color']) expect(help.output).toContain(flag)
  }
})

it.each([
  [['frobnicate'], /unknown command/],
  [['run', toy, '--frobnicate'], /unknown option/],
  [['run', toy, '--device', 'abacus'], /Allowed choices are cpu/],
  [['run', toy, '-n', 'many'], /whole number/],
  [['eval', toy], /--text/],
  [['convert', toy], /either --to or --plan/],
  [['convert', toy, '--to', 'mqa', '--layers', '3-9', '--dry-run'], /layer 9; the model has layers 0 to 4/],
])('wrong usage ends with 2: %j', async (args, message) => {
  const { code, errors, output } = await attune(args)
  expect(code).toBe(2)
  expect(errors).toMatch(message)
  expect(output).toBe('')
})

it('failures end with 1 and name the file', async () => {
  expect(await attune(['inspect', './nowhere'])).toMatchObject({ code: 1, errors: expect.stringMatching(/nowhere/) })
  expect(await attune(['eval', toy, '--text', '/nowhere/text'])).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/^error\[ENOENT\].*\/nowhere\/text/),
  })
})

it('an interrupt ends with 130', async () => {
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 300)
  const begin = performance.now()
  const { code, errors } = await attune(['run', toy, '-n', '100000', '--stop', 'no such text', '--temperature', '1'], {
    signal: stop.signal,
  })
  expect(code).toBe(130)
  expect(errors).toContain('interrupted')
  expect(performance.now() - begin).toBeLessThan(20_000)
})
