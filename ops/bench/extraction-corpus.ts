/** Labelled pages as a benchmark reads them, and the measure: F1 of the bags of words of a page. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { UserError } from '../../streams/errors.ts'

export interface LabelledPage {
  readonly id: string
  readonly type: string
  readonly body: Uint8Array
  readonly content: string
  readonly title: string
  /** Every third page, by order of id: never used for fitting or tuning. */
  readonly heldOut: boolean
}

interface Label {
  readonly ground_truth: { readonly main_content?: string; readonly title?: string | null }
  readonly _internal: { readonly page_type: { readonly primary: string } }
}

/** Reads `html/ID.html` with `ground-truth/ID.json`. */
export function labelledPages(folder: string): LabelledPage[] {
  if (!existsSync(join(folder, 'html')) || !existsSync(join(folder, 'ground-truth')))
    throw new UserError(`${folder} holds no html/ and ground-truth/`, 'unpack a labelled corpus there')
  const ids = readdirSync(join(folder, 'html'))
    .filter((name) => name.endsWith('.html'))
    .map((name) => name.slice(0, -'.html'.length))
    .sort()
  return ids.map((id, index) => {
    const label = JSON.parse(readFileSync(join(folder, 'ground-truth', `${id}.json`), 'utf8')) as Label
    return {
      id,
      type: label._internal.page_type.primary,
      body: readFileSync(join(folder, 'html', `${id}.html`)),
      content: label.ground_truth.main_content ?? '',
      title: label.ground_truth.title ?? '',
      heldOut: index % 3 === 0,
    }
  })
}

/** `\w+` as Python reads it (letters, digits, underscore of any script), lower-cased. */
export const words = (text: string): string[] => text.toLowerCase().match(/[\p{L}\p{N}_]+/gu) ?? []

export function f1(found: readonly string[], wanted: readonly string[]): number {
  if (found.length === 0 && wanted.length === 0) return 1
  const counts = new Map<string, number>()
  for (const word of wanted) counts.set(word, (counts.get(word) ?? 0) + 1)
  let common = 0
  for (const word of found) {
    const left = counts.get(word) ?? 0
    if (left > 0) {
      common++
      counts.set(word, left - 1)
    }
  }
  return common === 0 ? 0 : (2 * common) / (found.length + wanted.length)
}
