/** What a page says of itself: title, language, robots, and its JSON-LD. */
import { oneLine } from './text.ts'

export interface Robots {
  readonly noindex: boolean
  readonly nofollow: boolean
}

export interface Metadata {
  /** Without the site's name where that can be told. */
  readonly title: string
  /** BCP 47, canonical case; empty if unknown. */
  readonly language: string
  readonly robots: Robots
  /** `@type`s found in JSON-LD, lower-cased. */
  readonly types: ReadonlySet<string>
  /** Texts in JSON-LD that stand for content: articleBody, and the description of a product. */
  readonly bodies: readonly string[]
}

export function metadataOf(document: Document, jsonLd: readonly string[]): Metadata {
  const metas = new Map<string, string>()
  for (const element of document.getElementsByTagName('meta')) {
    const name = element.getAttribute('property') ?? element.getAttribute('name') ?? element.getAttribute('http-equiv')
    const content = element.getAttribute('content')
    const key = name?.toLowerCase()
    if (key && content && !metas.has(key)) metas.set(key, content)
  }
  const { types, bodies } = readJsonLd(jsonLd)
  const robots = (metas.get('robots') ?? '').toLowerCase()
  return {
    title: titleOf(document, metas),
    language: languageOf(document, metas),
    robots: { noindex: /\b(?:noindex|none)\b/.test(robots), nofollow: /\b(?:nofollow|none)\b/.test(robots) },
    types,
    bodies,
  }
}

/** Of titles on one line, where white space is single spaces. */
const SEPARATOR = / [|\-–—·•»«:/\\›~]+ | ?[|｜] ?/
const MARK = /[\s|｜\-–—·•»«:/\\›~]/
/** UTF-16 units; more is no title, and searching one in another takes the product of their lengths. */
const MAX_TITLE = 1000
const titleLine = (text: string | null | undefined): string =>
  oneLine(text ?? '')
    .slice(0, MAX_TITLE)
    .toWellFormed()

function titleOf(document: Document, metas: ReadonlyMap<string, string>): string {
  const h1s = document.getElementsByTagName('h1')
  const h1 = h1s.length === 1 ? titleLine(h1s[0]?.textContent) : ''
  const declared = titleLine(document.getElementsByTagName('title')[0]?.textContent)
  const shared = titleLine(metas.get('og:title'))
  const site = titleLine(metas.get('og:site_name'))
  const whole = declared || shared
  if (whole === '') return h1
  // A headline that the title repeats is the title; what surrounds it there is the site.
  if (h1.length > 3 && whole.toLowerCase().includes(h1.toLowerCase())) return h1
  if (shared !== '' && shared.length < whole.length && whole.startsWith(shared)) return shared
  return withoutSite(whole, site)
}

function withoutSite(title: string, site: string): string {
  const parts = title.split(SEPARATOR).filter(Boolean)
  if (parts.length < 2) return title
  const isSite = (part: string | undefined) => site !== '' && part?.toLowerCase() === site.toLowerCase()
  const first = parts[0] ?? ''
  const last = parts.at(-1) ?? ''
  if (isSite(last)) return withoutMarksAtEnd(title.slice(0, title.lastIndexOf(last)))
  if (isSite(first)) return title.slice(first.length).replace(/^[\s|｜\-–—·•»«:/\\›~]+/, '')
  // Unknown which part is the site: cut the last if a headline of some length stays.
  const rest = withoutMarksAtEnd(title.slice(0, title.lastIndexOf(last)))
  return rest.length > 2 * last.length && rest.length >= 15 ? rest : title
}

function withoutMarksAtEnd(title: string): string {
  let end = title.length
  while (MARK.test(title[end - 1] ?? '')) end--
  return title.slice(0, end)
}

/** The declared language if it is well-formed; else what the script alone settles. */
function languageOf(document: Document, metas: ReadonlyMap<string, string>): string {
  const root = document.documentElement
  const candidates = [
    root?.getAttribute('lang'),
    root?.getAttribute('xml:lang'),
    metas.get('content-language'),
    document.body?.getAttribute('lang'),
    metas.get('og:locale'),
  ]
  for (const candidate of candidates) {
    const tag = canonicalTag(candidate ?? '')
    if (tag !== '') return tag
  }
  return languageOfScript(document.body?.textContent?.slice(0, 5000) ?? '')
}

/** Registered tags stay below 40; Intl takes quadratic time for what is none (2 s for 200,000 hyphens). */
const MAX_TAG = 100

export function canonicalTag(tag: string): string {
  try {
    const first = tag.split(',', 1)[0]?.trim() ?? ''
    if (first.length > MAX_TAG) return ''
    const canonical = Intl.getCanonicalLocales(first.replaceAll('_', '-'))[0] ?? ''
    return canonical === 'und' ? '' : canonical
  } catch {
    return ''
  }
}

/** Scripts that (nearly) one language writes; Latin, Cyrillic and Arabic serve too many to guess. */
const SCRIPTS: readonly (readonly [string, RegExp])[] = [
  ['ja', /[\u3040-\u30ff]/g],
  ['ko', /[\uac00-\ud7af]/g],
  ['zh', /[\u4e00-\u9fff]/g],
  ['th', /[\u0e00-\u0e7f]/g],
  ['he', /[\u0590-\u05ff]/g],
  ['el', /[\u0370-\u03ff]/g],
]
export function languageOfScript(text: string): string {
  const letters = text.match(/\p{L}/gu)?.length ?? 0
  for (const [language, script] of SCRIPTS) if ((text.match(script)?.length ?? 0) > letters * 0.2) return language
  return ''
}

/** Nodes looked at in one page's JSON-LD; real ones stay below a thousand. */
const MAX_NODES = 5000
function readJsonLd(blocks: readonly string[]): { types: Set<string>; bodies: string[] } {
  const types = new Set<string>()
  const bodies: string[] = []
  const queue: unknown[] = blocks.flatMap((block) => {
    try {
      return [JSON.parse(block) as unknown]
    } catch {
      return []
    }
  })
  for (let index = 0; index < queue.length && index < MAX_NODES; index++) {
    const node = queue[index]
    if (typeof node !== 'object' || node === null) continue
    const { '@type': type, articleBody, description } = node as Record<string, unknown>
    const names = [type].flat().filter((name) => typeof name === 'string')
    for (const name of names) types.add(name.toLowerCase())
    if (typeof articleBody === 'string') bodies.push(articleBody)
    if (typeof description === 'string' && names.includes('Product')) bodies.push(description)
    for (const value of Object.values(node)) if (typeof value === 'object') queue.push(value)
  }
  return { types, bodies }
}
