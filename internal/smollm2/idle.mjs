// A process that only keeps a timer: what it misses, the machine owes to others.
import { Pulse } from './pulse.mjs'

const pulse = new Pulse()
process.on('message', () => {
  process.send?.(pulse.stop().latest, () => process.exit(0))
})
process.send?.('ready')
