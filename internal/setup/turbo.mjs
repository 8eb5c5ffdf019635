// Runs turbo from npm and pnpm alike: turbo wants a pnpm on the path, which `npx` provides.
import './node-version.mjs'
import { spawn } from 'node:child_process'
import { root } from '../lib/workspace.mjs'
import { turbo } from './run.mjs'

const { file, args, env, shell } = turbo(process.argv.slice(2))
spawn(file, args, { cwd: root, shell, env: { ...process.env, ...env }, stdio: 'inherit' }).on('close', code => process.exit(code ?? 1))
