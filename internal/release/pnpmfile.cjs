/**
 * While packing: backend-cpu asks for the prebuilt addons of its own version. In the tree it does not, because they exist only in a
 * release (packages/backend-cpu/build/prebuilt.mjs makes them).
 * @param {{ name: string, version: string, optionalDependencies?: Record<string, string> }} manifest
 */
async function beforePacking(manifest) {
  if (manifest.name !== '@attune/backend-cpu') return manifest
  const { packageOf, targets } = await import('../../packages/backend-cpu/build/targets.mjs')
  return { ...manifest, optionalDependencies: Object.fromEntries(targets.map(t => [packageOf(t), manifest.version])) }
}

module.exports = { hooks: { beforePacking } }
