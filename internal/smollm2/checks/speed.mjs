import { execFile } from 'node:child_process'
import os from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** Speed and memory, for information. A process each, so that peak memory is its own. @param {import('../report.mjs').Report} t @param {import('../lab.mjs').Lab} lab */
export async function check(t, lab) {
  const script = fileURLToPath(new URL('../speed-of.mjs', import.meta.url))
  t.note('load average before', os.loadavg()[0])
  for (const weights of ['f32', 'as-stored'])
    for (const threads of ['1', '2']) {
      const { stdout } = await promisify(execFile)(process.execPath, [script, lab.device, lab.model, weights, threads], {
        maxBuffer: 1 << 24,
      })
      const s = JSON.parse(stdout)
      const name = `${weights}, ${threads} thread${threads === '1' ? '' : 's'}`
      t.note(`${name}: load`, s.loadMs, ' ms')
      t.note(`${name}: prefill of 512`, median(s.prefill), ' tokens/s')
      t.note(`${name}: decode of 128`, median(s.decode), ' tokens/s')
      t.note(`${name}: peak memory`, s.peakMiB, ' MiB')
      t.samples[name] = s
    }
  t.note('load average after', os.loadavg()[0])
}

/** @param {number[]} list */
const median = list => [...list].sort((a, b) => a - b)[list.length >> 1]
