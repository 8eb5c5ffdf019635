/** Terminal styles; plain text where colour is off. */
export interface Paint {
  bold(text: string): string
  dim(text: string): string
  accent(text: string): string
}

export const paint = (on: boolean): Paint => {
  const style = (code: number) => (text: string) => (on ? `\x1b[${code}m${text}\x1b[0m` : text)
  return { bold: style(1), dim: style(2), accent: style(36) }
}
