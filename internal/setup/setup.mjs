import './node-version.mjs'

import('./prepare.mjs').then(({ prepare }) => prepare({ say: line => console.log(line) }))
