import { join } from 'node:path'
import { expect, it } from 'vitest'
import { main, programOf } from '../../apps/cli/src/cli.ts'
import { testIo } from '../../apps/cli/src/test-io.ts'
import { root } from '../lib/workspace.mjs'
import { cliPage } from './cli-page.ts'

it('docs/cli.md is what the commands define', () => expect(cliPage()).toMatchFileSnapshot(join(root, 'docs/cli.md')))

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
