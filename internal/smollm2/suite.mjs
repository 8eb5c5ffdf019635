// One suite on one device: suite.mjs NAME DEVICE MODEL [save]
import { Lab } from './lab.mjs'
import { Report } from './report.mjs'
import { suites } from './suites.mjs'

const [name, device, model, save] = process.argv.slice(2)
const report = new Report(name, device)
const lab = new Lab(device, model)
try {
  const { check } = await suites[name]()
  await check(report, lab)
} catch (error) {
  report.fail('ran to its end', String(error instanceof Error ? error.stack : error))
} finally {
  await lab.close()
}
if (save) report.save(lab)
process.exitCode = report.failed ? 1 : 0
