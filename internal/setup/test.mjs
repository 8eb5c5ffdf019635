import './node-version.mjs'

const quiet = process.env.npm_config_loglevel === 'silent' || process.argv.includes('--silent')
const { prepare } = await import('./prepare.mjs')
await prepare({ say: line => quiet || console.log(line) })
const { runVitest } = await import('../checks/vitest.mjs')
const { runChecks } = await import('../checks/run.mjs')
const { report } = await import('../checks/report.mjs')

const files = process.argv.slice(2).filter(arg => arg !== '--silent')
const tests = await runVitest({ quiet, files })
const checks = files.length === 0 ? await runChecks({ quiet }) : { passed: 0, failed: 0, skipped: [] }
process.exitCode = report([tests, checks])
