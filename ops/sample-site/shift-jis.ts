/** Text to Shift_JIS. Node only decodes it, so the table is that decoder turned around. */

let table: Map<string, Buffer> | undefined

function encodings(): Map<string, Buffer> {
  const decoder = new TextDecoder('shift_jis', { fatal: true })
  const known = new Map<string, Buffer>()
  for (let lead = 0x81; lead <= 0x9f; lead++)
    for (let trail = 0x40; trail <= 0xfc; trail++) {
      const pair = Buffer.from([lead, trail])
      try {
        const character = decoder.decode(pair)
        if (!known.has(character)) known.set(character, pair)
      } catch {
        // No character has these two bytes.
      }
    }
  return known
}

/** Characters that the charset (or its first half, tabulated here) lacks become references, as in browsers' forms. */
export const shiftJis = {
  label: 'shift_jis',
  encode: (html: string): Buffer => {
    table ??= encodings()
    const known = table
    const bytes = (character: string) =>
      known.get(character) ?? Buffer.from(character < '\x80' ? character : `&#${character.codePointAt(0)};`)
    return Buffer.concat(Array.from(html, bytes))
  },
}
