const core = ['expr', 'tensor', 'ops']
const bricks = [...core, 'nn', 'position']
const variants = [...bricks, 'attention']
const below = [...variants, 'attention-*', 'linalg', 'cache', 'weights']
const models = [...below, 'models']
const all = ['*']

/**
 * The ladder of the architecture: each package (or pattern) and the packages it may import. The first line that fits counts.
 * Between the three users of models the order is generate, evaluate, convert.
 * @type {[string, string[]][]}
 */
export const ladder = [
  ['expr', []],
  ['linalg', ['expr']],
  ['tensor', ['expr']],
  ['ops', ['expr', 'tensor']],
  ['nn', core],
  ['position', core],
  ['backend-*', core],
  ['attention', bricks],
  ['attention-heads', [...variants, 'linalg']],
  // Other families name it as what they equal in the limit.
  ['attention-*', [...variants, 'linalg', 'attention-heads']],
  ['cache', variants],
  ['weights', variants],
  ['models', below],
  ['generate', models],
  ['evaluate', [...models, 'generate']],
  ['convert', [...models, 'generate', 'evaluate']],
  ['testing', [...models, 'backend-*', 'generate', 'evaluate', 'convert']],
  ['kit', [...models, 'generate', 'evaluate', 'convert']],
  ['zoo', [...models, 'kit']],
  ['create-variant', []],
  ['attune', all],
  ['cli', all],
  ['studio', all],
]

/** Packages without a single runtime dependency from outside. */
export const bare = ['expr', 'tensor', 'ops', 'nn', 'position', 'attention', 'attention-*', 'cache', 'convert', 'backend-*']

/** @param {string[]} patterns @param {string} name without its scope */
export const fits = (patterns, name) => patterns.some(p => p === '*' || p === name || (p.endsWith('*') && name.startsWith(p.slice(0, -1))))

/** What a package may import; undefined if it has no place on the ladder. @param {string} name */
export const allowed = name => ladder.find(([pattern]) => fits([pattern], name))?.[1]
