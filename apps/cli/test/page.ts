import type { Argument, Command, Option } from 'commander'
import { programOf } from '../src/cli.ts'
import { testIo } from '../src/test-io.ts'

/** docs/cli.md, from the definitions of the commands themselves. */
export function cliPage(): string {
  const { commands } = programOf(testIo())
  const shared = commands[0].options.filter(o => commands.every(c => c.options.some(other => other.flags === o.flags)))
  return [
    '# Command line',
    '',
    'Made from the commands themselves: `npx vitest run apps/cli/test/page.test.ts -u` writes it anew.',
    '',
    '`npm run -s attune -- COMMAND`, from this repository. Results go to standard output, all else to standard error. Exit codes: 0 done,',
    '1 failed, 2 wrong usage, 130 interrupted.',
    '',
    'Every command takes these:',
    '',
    ...optionTable(shared),
    ...commands.flatMap(command => section(command, shared)),
    '',
  ].join('\n')
}

function section(command: Command, shared: readonly Option[]): string[] {
  const own = command.options.filter(o => !shared.some(s => s.flags === o.flags))
  const usage = [command.name(), ...command.registeredArguments.map(shown)].join(' ')
  const args = command.registeredArguments.map(a => `- \`${shown(a)}\`: ${a.description}${ending(a.defaultValue, a.argChoices)}`)
  return [
    '',
    `## ${command.name()}`,
    '',
    command.description(),
    '',
    '```',
    `attune ${usage}${own.length > 0 ? ' [options]' : ''}`,
    '```',
    ...(args.length > 0 ? ['', ...args] : []),
    ...(own.length > 0 ? ['', ...optionTable(own)] : []),
  ]
}

const shown = (a: Argument): string => {
  const name = a.variadic ? `${a.name()}...` : a.name()
  return a.required ? `<${name}>` : `[${name}]`
}

function optionTable(options: readonly Option[]): string[] {
  const rows = options.map(o => [
    `\`${o.flags}\``,
    `${o.description.replaceAll('|', '\\|')}${o.mandatory ? ' (required)' : ''}${ending(o.defaultValue, o.argChoices)}`,
  ])
  const widths = [0, 1].map(i => Math.max(...rows.map(r => r[i].length), 6))
  const line = (cells: readonly string[]) => `| ${cells.map((c, i) => c.padEnd(widths[i])).join(' | ')} |`
  return [line(['option', '']), `| ${widths.map(w => '-'.repeat(w)).join(' | ')} |`, ...rows.map(line)]
}

function ending(value: unknown, choices?: readonly string[]): string {
  const among = choices ? `: ${choices.map(c => `\`${c}\``).join(' ')}` : ''
  return value === undefined || value === false ? among : `${among}; default \`${value}\``
}
