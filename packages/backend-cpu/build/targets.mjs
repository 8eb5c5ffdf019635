/**
 * @typedef {{ os: string, cpu: string, libc?: string, abi?: string, triple: string, kernels?: string, link: string[] }} Target
 * `os`, `cpu`, `libc`: as npm calls them. `kernels`: of which other triple the kernels are taken; they use no library, so those of one
 * object format are the same.
 */

const glibc = 'linux-gnu.2.28' // what Node 20 needs itself
const macos = ['-undefined', 'dynamic_lookup', '-install_name', '@rpath/attune.node'] // else the path where it was linked
const windows = ['-lapi-ms-win-core-synch-l1-2-0']

/** Every platform with a prebuilt addon. @type {readonly Target[]} */
export const targets = [
  { os: 'linux', cpu: 'x64', libc: 'glibc', abi: 'gnu', triple: `x86_64-${glibc}`, link: [] },
  { os: 'linux', cpu: 'x64', libc: 'musl', abi: 'musl', triple: 'x86_64-linux-musl', kernels: `x86_64-${glibc}`, link: ['-dynamic'] },
  { os: 'linux', cpu: 'arm64', libc: 'glibc', abi: 'gnu', triple: `aarch64-${glibc}`, link: [] },
  { os: 'linux', cpu: 'arm64', libc: 'musl', abi: 'musl', triple: 'aarch64-linux-musl', kernels: `aarch64-${glibc}`, link: ['-dynamic'] },
  { os: 'darwin', cpu: 'x64', triple: 'x86_64-macos.11.0', link: macos },
  { os: 'darwin', cpu: 'arm64', triple: 'aarch64-macos.11.0', link: macos },
  { os: 'win32', cpu: 'x64', triple: 'x86_64-windows-gnu', link: windows },
  { os: 'win32', cpu: 'arm64', triple: 'aarch64-windows-gnu', link: windows },
]

/** `linux-x64-gnu`. @param {Target} target */
export const nameOf = ({ os, cpu, abi }) => [os, cpu, ...(abi ? [abi] : [])].join('-')

/** The package that brings a target's addon. @param {Target} target */
export const packageOf = target => `@attune/backend-cpu-${nameOf(target)}`

/** The target of this machine; undefined where nothing is prebuilt for it. */
export function hostTarget() {
  const { header } = /** @type {{ header: { glibcVersionRuntime?: string } }} */ (/** @type {unknown} */ (process.report.getReport()))
  const libc = header.glibcVersionRuntime ? 'glibc' : 'musl'
  return targets.find(t => t.os === process.platform && t.cpu === process.arch && (t.libc ?? libc) === libc)
}
