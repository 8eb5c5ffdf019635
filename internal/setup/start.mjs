import './node-version.mjs'

const { prepare } = await import('./prepare.mjs')
await prepare({ say: line => console.log(line) })
const { launch } = await import('./launch.mjs')
await launch(['start', ...process.argv.slice(2)])
