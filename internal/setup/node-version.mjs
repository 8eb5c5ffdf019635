// Read by old Node versions too: no modern syntax here, and nothing may be imported before it.
var wanted = [20, 19]
var found = process.versions.node.split('.').map(Number)
if (found[0] < wanted[0] || (found[0] === wanted[0] && found[1] < wanted[1])) {
  console.error(
    'attune needs Node ' +
      wanted.join('.') +
      ' or newer, but this is Node ' +
      process.versions.node +
      ': install a newer one from https://nodejs.org and run the command again.',
  )
  process.exit(1)
}
