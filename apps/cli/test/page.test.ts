import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'
import { main, programOf } from '../src/cli.ts'
import { testIo } from '../src/test-io.ts'
import { cliPage } from './page.ts'

it('docs/cli.md is what the commands define', () =>
  expect(cliPage()).toMatchFileSnapshot(fileURLToPath(new URL('../../../docs/cli.md', import.meta.url))))

it('every command, argument and option says what it is', async () => {
  const { commands } = programOf(testIo())
  for (const command of commands) {
    expect(command.description(), command.name()).toMatch(/^[A-Z].*\.$/)
    for (const part of [...command.registeredArguments, ...command.options])
      expect(part.description, `${command.name()} ${part.name()}`).toMatch(/\w{2}/)
    const io = testIo()
    expect(await main([command.name(), '--help'], io)).toBe(0)
    for (const { flags } of command.options) expect(io.output).toContain(flags)
  }
})
