#!/usr/bin/env node
import { main } from './cli.ts'
import { processIo } from './io.ts'

process.exitCode = await main(process.argv.slice(2), processIo())
process.stdin.unref?.() // a terminal that nobody reads any more keeps no process alive
