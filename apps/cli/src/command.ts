import type { Command } from 'commander'
import type { Context } from './context.ts'

/** One subcommand: what it is called, its own flags, and what it does. Global flags are added to each. */
export interface CliCommand {
  readonly name: string
  readonly summary: string
  /** Arguments and options of its own, declared on the commander command. */
  define(command: Command): Command
  /** Runs it; `args` are the positional arguments in order. */
  run(context: Context, args: readonly (string | undefined)[], options: Record<string, any>): Promise<void>
}
