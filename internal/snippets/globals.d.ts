/** In snippets: `value // → JSON` says what a value is. */
declare function claim(value: unknown, json: string): void
