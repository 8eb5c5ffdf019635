import './node-version.mjs'

const { prepare } = await import('./prepare.mjs')
await prepare({ say: line => console.error(line), quiet: true })
const { launch } = await import('./launch.mjs')
await launch(process.argv.slice(2))
