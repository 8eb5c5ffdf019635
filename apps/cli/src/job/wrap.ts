/** Lines of a text no longer than `width`, cut between words where that is possible. Spaces at a cut are dropped, at the end kept. */
export function wrap(text: string, width: number): string[] {
  return text.split('\n').flatMap(paragraph => {
    const lines: string[] = []
    let line = ''
    for (const word of paragraph.replace(/\t/g, '  ').split(/(?<= )/)) {
      if (line && [...(line + word).trimEnd()].length > width) {
        lines.push(line.trimEnd())
        line = ''
      }
      line += word
      while ([...line.trimEnd()].length > width) {
        lines.push([...line].slice(0, width).join(''))
        line = [...line].slice(width).join('')
      }
    }
    return [...lines, line]
  })
}
