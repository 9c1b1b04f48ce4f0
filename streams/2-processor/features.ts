/**
 * What tells content from boilerplate, as numbers of about 0 to 1 per segment. Lengths count by `mass`, and no feature
 * reads words of a language, so that every script is weighed alike. `model.ts` holds a weight for each name.
 */
import type { Article } from './article.ts'
import type { Box, Segment } from './segments.ts'

export interface PageFacts {
  readonly article: Article
  readonly title: string
  /** The page describes a product or a collection in JSON-LD. */
  readonly product: boolean
}

export type Features = Record<string, number>

/** Words in class, id and role that people give to parts of a page; matched anywhere above a segment. */
const HINTS: Readonly<Record<string, RegExp>> = {
  navigation: /\bnav|menu|breadcrumb|crumbs?\b|toolbar|\btabs?\b|pagination|pager|\btoc\b|\bskip/,
  footer: /foot(?!note)|copyright|legal|colophon|\bbottom/,
  side: /side-?bar|\baside\b|\brail\b|widget|\bside\b|secondary|complementary/,
  related:
    /relat(?:ed|ive)|recommend|\bmore\b|popular|trending|similar|upsell|cross-?sell|recent|\bread-?next|suggest|you-?may/,
  social: /\bshar(?:e|ing)|social|follow|subscri|newsletter|sign-?up|\bcta\b|call-?to|\bjoin/,
  comments: /comment|disqus|repl(?:y|ies)|respond/,
  advert: /\bads?\b|advert|sponsor|promo|banner|\bdfp\b|outbrain|taboola/,
  consent: /cookie|consent|gdpr|privacy|modal|popup|overlay|dialog|toast|lightbox/,
  byline: /byline|author|\bmeta\b|\bdate\b|timestamp|\btags?\b|categor|avatar|profile|\bbio\b|user/,
  header: /header|masthead|hero|\blogo|brand|topbar|\btop\b/,
  content: /article|content|\bbody\b|\bmain\b|entry|\bpost\b|\btext\b|story|prose|markdown|rich-?text|rte\b/,
  product: /product|descri|detail|spec|feature|summary|overview/,
  forum: /thread|topic|message|\bposts?\b|answer|question|discussion/,
  card: /card|tile|grid|\bitem|teaser|listing|result|carousel|slider|swiper/,
  form: /\bform\b|search|login|filter|\bsort|cart|checkout|price|rating|review/,
  faq: /faq|accordion|collaps|toggle|panel/,
}
const HINT_NAMES = Object.keys(HINTS)
const ZONES = [
  'nav',
  'header',
  'footer',
  'aside',
  'main',
  'article',
  'form',
  'figure',
  'td',
  'section',
  'button',
  'dialog',
]

/** A box with more of the page than this is the page: its class (`no-sidebar`, `nav-open`) says nothing of its parts. */
const WRAPPER_SHARE = 0.7
const WRAPPER_MASS = 1000

interface BoxFacts {
  readonly hints: ReadonlySet<string>
  readonly zones: ReadonlySet<string>
  articleMass: number
}

const squash = (length: number) => Math.min(1, Math.log2(1 + length) / 10)
const share = (part: number, whole: number) => (whole > 0 ? part / whole : 0)

export function featuresOf(segments: readonly Segment[], page: PageFacts): Features[] {
  const total = segments.reduce((sum, segment) => sum + segment.mass, 0)
  const facts = new Map<Box, BoxFacts>()
  const factsOf = (box: Box): BoxFacts => {
    const known = facts.get(box)
    if (known) return known
    const above = box.parent ? factsOf(box.parent) : undefined
    const hints = new Set(above?.hints)
    const zones = new Set(above?.zones)
    const isWrapper = box.mass > WRAPPER_MASS && box.mass > total * WRAPPER_SHARE
    if (!isWrapper) for (const name of HINT_NAMES) if (HINTS[name]?.test(box.label)) hints.add(name)
    if (ZONES.includes(box.tag)) zones.add(box.tag)
    const created = { hints, zones, articleMass: 0 }
    facts.set(box, created)
    return created
  }
  const inArticle = segments.map((segment) => articleShare(segment, page.article))
  segments.forEach((segment, index) => {
    for (let box: Box | null = segment.box; box; box = box.parent)
      factsOf(box).articleMass += segment.mass * (inArticle[index] ?? 0)
  })
  const articleMass = segments.reduce((sum, segment, index) => sum + segment.mass * (inArticle[index] ?? 0), 0)
  const pageLinks = segments.reduce((sum, segment) => sum + segment.linkMass, 0)
  const texts = new Map<string, number>()
  for (const segment of segments) texts.set(segment.text, (texts.get(segment.text) ?? 0) + 1)
  const h1 = segments.findIndex((segment) => segment.kind === 'HEADING' && segment.level === 1)
  const pageFeatures = {
    pageArticle: share(articleMass, total),
    pageLinks: share(pageLinks, total),
    pageMass: squash(total / 50),
    product: page.product ? 1 : 0,
  }

  let before = 0
  const own = segments.map((segment, index) => {
    const values = ownFeatures(segment, inArticle[index] ?? 0)
    const { hints, zones } = factsOf(segment.box)
    for (const name of HINT_NAMES) values[`hint:${name}`] = hints.has(name) ? 1 : 0
    for (const name of ZONES) values[`zone:${name}`] = zones.has(name) ? 1 : 0
    levels(segment.box).forEach((box, level) => {
      values[`links${level}`] = share(box.linkMass, box.mass)
      values[`article${level}`] = share(factsOf(box).articleMass, box.mass)
      values[`size${level}`] = share(box.mass, total)
      values[`mean${level}`] = squash(box.mass / Math.max(1, box.segments))
    })
    values.position = share(before, total)
    values.beforeH1 = h1 >= 0 && index < h1 ? 1 : 0
    values.noH1 = h1 < 0 ? 1 : 0
    values.repeated = Math.min(1, ((texts.get(segment.text) ?? 1) - 1) / 3)
    values.alike = squash(alike(segment.box) * 8)
    values.isTitle = page.title !== '' && segment.text === page.title ? 1 : 0
    Object.assign(values, pageFeatures)
    before += segment.mass
    return values
  })
  return own.map((values, index) => withProducts(withNeighbours(values, own, index)))
}

function ownFeatures(segment: Segment, inArticle: number): Features {
  const { text, kind, tag } = segment
  const letters = text.replace(/[^\p{L}\p{N}]/gu, '').length
  const digits = text.replace(/[^\p{N}]/gu, '').length
  return {
    length: squash(segment.mass),
    short: segment.mass < 25 ? 1 : 0,
    long: segment.mass > 150 ? 1 : 0,
    links: share(segment.linkMass, segment.mass),
    allLink: segment.linkMass >= segment.mass * 0.9 ? 1 : 0,
    article: inArticle,
    sentence: /[.!?…。!?؟।]["'”’»)\]]*$/u.test(text) ? 1 : 0,
    commas: Math.min(1, (text.match(/[,,、،;:]/g)?.length ?? 0) / 4),
    digits: share(digits, letters),
    copyright: /©|\(c\) ?\d{4}/i.test(text) ? 1 : 0,
    price: /[$€£¥₹]\s?\d|\d\s?[€£¥₹$]/.test(text) ? 1 : 0,
    colon: /[::]$/.test(text) ? 1 : 0,
    arrow: /[›»→❯>]$|^[‹«←]/.test(text) ? 1 : 0,
    heading: kind === 'HEADING' ? 1 : 0,
    h1: segment.level === 1 ? 1 : 0,
    h2: segment.level === 2 ? 1 : 0,
    deepHeading: segment.level > 3 ? 1 : 0,
    list: kind === 'LIST' ? 1 : 0,
    table: kind === 'TABLE' ? 1 : 0,
    code: kind === 'CODE' ? 1 : 0,
    quote: kind === 'QUOTE' ? 1 : 0,
    paragraph: tag === 'p' ? 1 : 0,
    division: tag === 'div' ? 1 : 0,
    caption: tag === 'figcaption' ? 1 : 0,
    button: tag === 'button' ? 1 : 0,
  }
}

/** Four boxes around a segment, each at least three times as much text as the one inside it. */
export function levels(start: Box): Box[] {
  const found: Box[] = []
  let least = 0
  for (let box: Box | null = start; box && found.length < 4; box = box.parent)
    if (box.mass >= least) {
      found.push(box)
      least = box.mass * 3
    }
  while (found.length < 4) found.push(found.at(-1) ?? start)
  return found
}

/** The longest row of siblings alike on the way up: cards, posts, links. */
function alike(start: Box): number {
  let most = 1
  for (let box = start.parent; box; box = box.parent) most = Math.max(most, box.mostAlike)
  return most
}

function articleShare(segment: Segment, { pieces }: Article): number {
  let kept = 0
  let all = 0
  for (const piece of segment.pieces) {
    all += piece.length
    if (pieces.has(piece)) kept += piece.length
  }
  return share(kept, all)
}

const NEIGHBOUR_FEATURES = ['length', 'links', 'article', 'sentence', 'heading', 'short'] as const
function withNeighbours(values: Features, all: readonly Features[], index: number): Features {
  const result = { ...values }
  for (const [name, offsets] of [
    ['before', [-1, -2, -3]],
    ['after', [1, 2, 3]],
  ] as const)
    for (const feature of NEIGHBOUR_FEATURES) {
      let sum = 0
      for (const offset of offsets) sum += all[index + offset]?.[feature] ?? 0
      result[`${name}:${feature}`] = sum / offsets.length
    }
  return result
}

/** A linear model cannot say "trust Readability where it took most of the page"; these products can. */
const PAGE_FEATURES = ['pageArticle', 'pageLinks', 'pageMass', 'product'] as const
const SEGMENT_FEATURES = 'article article1 article2 article3 links1 links2 mean1 mean2 length alike'.split(' ')
function withProducts(values: Features): Features {
  for (const page of PAGE_FEATURES)
    for (const name of SEGMENT_FEATURES) values[`${page}*${name}`] = (values[page] ?? 0) * (values[name] ?? 0)
  return values
}
