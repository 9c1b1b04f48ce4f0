/** Text of records for a terminal: a page's title may hold what clears the screen, or turns the line around. */
import { stripVTControlCharacters } from 'node:util'

/** On one line, without escape sequences, control characters and invisible ones (bidi overrides are among them). */
export const plainText = (text: string): string =>
  stripVTControlCharacters(text)
    .replace(/[\s\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/\p{Cf}/gu, '')

/** Nothing is lost: what a terminal would obey is escaped, as JSON allows. */
export const prettyJson = (value: unknown): string =>
  JSON.stringify(value, null, 2).replace(/[\u007f-\u009f\u2028\u2029\p{Cf}]/gu, (found) =>
    found
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  )
