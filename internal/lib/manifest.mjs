/** The keys in the order in which our manifests have them. */
const order = [
  'name',
  'version',
  'description',
  'license',
  'type',
  'private',
  'sideEffects',
  'exports',
  'bin',
  'files',
  'engines',
  'scripts',
]

/** Conditions that exist only inside this repository. */
const development = 'attune-source'

/**
 * What a manifest must say besides what its author wrote: how it is built and what is published. The published exports are the
 * written ones without the source condition.
 * @param {any} manifest
 * @returns {any}
 */
export function complete(manifest) {
  const { publishConfig, scripts, ...rest } = manifest
  const full = {
    ...rest,
    files: manifest.files ?? ['dist', 'README.md'],
    scripts: { ...scripts, build: 'tsup --config ../../internal/build/tsup.config.mjs' },
    publishConfig: { access: 'public', ...(manifest.exports ? { exports: published(manifest.exports) } : {}) },
  }
  const known = order.filter(key => key in full)
  const others = Object.keys(full).filter(key => !order.includes(key))
  return Object.fromEntries([...known, ...others].map(key => [key, full[key]]))
}

/** @param {any} target @returns {any} */
function published(target) {
  if (typeof target !== 'object' || target === null) return target
  return Object.fromEntries(
    Object.entries(target)
      .filter(([key]) => key !== development)
      .map(([key, value]) => [key, published(value)]),
  )
}

/**
 * JSON as our manifests are written: short values on one line.
 * @param {any} value
 * @param {string} [indent]
 * @returns {string}
 */
export function print(value, indent = '') {
  const flat = oneLine(value)
  const nested =
    typeof value === 'object' && value !== null && Object.values(value).some(v => typeof v === 'object' && v !== null && !Array.isArray(v))
  if (
    typeof value !== 'object' ||
    value === null ||
    Array.isArray(value) ||
    (indent !== '' && !nested && flat.length + indent.length <= 110)
  )
    return flat
  const inner = `${indent}  `
  const lines = Object.entries(value).map(([key, v]) => `${inner}${JSON.stringify(key)}: ${print(v, inner)}`)
  return lines.length === 0 ? '{}' : `{\n${lines.join(',\n')}\n${indent}}`
}

/** @param {any} value @returns {string} */
function oneLine(value) {
  if (Array.isArray(value)) return `[${value.map(oneLine).join(', ')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const parts = Object.entries(value).map(([key, v]) => `${JSON.stringify(key)}: ${oneLine(v)}`)
  return parts.length === 0 ? '{}' : `{ ${parts.join(', ')} }`
}
