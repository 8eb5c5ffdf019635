import { diskWork } from '../src/node/index.ts'
import { conversionRun } from './conversion-run.ts'
import { watchedWork } from './watched-work.ts'

// node conversion-child.js SOURCE TARGET [MOMENT]: converts, and kills itself at a moment given by number.
const [source, target, at] = process.argv.slice(2)
let moment = 0
console.log('begins')
const work = watchedWork(diskWork(target), () => {
  if (++moment === Number(at)) process.kill(process.pid, 'SIGKILL')
})
await conversionRun(source, target, { work, onResume: e => console.log(`resumed after ${e.layers} layers`) })
console.log(`done after ${moment} moments`)
