import { fileURLToPath } from 'node:url'

/** A file of the assets folder, which lies beside both the sources and the built code. */
export const asset = (name: string): string => fileURLToPath(new URL(`../assets/${name}`, import.meta.url))
