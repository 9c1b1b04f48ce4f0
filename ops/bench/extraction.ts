/**
 * Extraction measured: `node ops/bench/extraction.ts FOLDER` prints F1 on labelled pages (`html/`, `ground-truth/`) and
 * pages per second on whatever html files FOLDER holds below `readability-pages/`, against plain jsdom + Readability.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { Readability } from '@mozilla/readability'
import { JSDOM, VirtualConsole } from 'jsdom'
import { extract } from '../../streams/2-processor/extract.ts'
import { type LabelledPage, f1, labelledPages, words } from './extraction-corpus.ts'

const REPETITIONS = 3
const url = 'https://example.com/'

type Extractor = (body: Uint8Array) => { readonly text: string; readonly title: string }
const arms: Readonly<Record<string, Extractor>> = {
  sluice: (body) => {
    const { title, blocks } = extract({ body, contentType: 'text/html', url })
    return { title, text: blocks.map((block) => block.text).join('\n') }
  },
  'jsdom + Readability': (body) => {
    const dom = new JSDOM(Buffer.from(body), { url, virtualConsole: new VirtualConsole() })
    const article = new Readability(dom.window.document).parse()
    dom.window.close()
    return { title: article?.title ?? '', text: article?.textContent ?? '' }
  },
}

const guarded = (run: Extractor, body: Uint8Array) => {
  try {
    return run(body)
  } catch {
    return { text: '', title: '' }
  }
}
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)

function quality(name: string, run: Extractor, pages: readonly LabelledPage[]) {
  const scored = pages.map((page) => {
    const { text, title } = guarded(run, page.body)
    return { page, score: f1(words(text), words(page.content)), title: f1(words(title), words(page.title)) }
  })
  for (const heldOut of [false, true]) {
    const part = scored.filter(({ page }) => page.heldOut === heldOut)
    const types = Map.groupBy(part, ({ page }) => page.type)
    const figures = [...types].sort().map(([type, of]) => `${type} ${mean(of.map(({ score }) => score)).toFixed(3)}`)
    const all = mean(part.map(({ score }) => score)).toFixed(3)
    const titles = mean(part.filter(({ page }) => page.title !== '').map(({ title }) => title)).toFixed(3)
    console.log(`${name}, ${heldOut ? 'held out' : 'tuning'} (${part.length} pages): F1 ${all}, title F1 ${titles}`)
    console.log(`  ${figures.join(', ')}`)
  }
}

/** All `*.html` below a folder but the expected results beside them. */
const htmlFiles = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.html') && !name.endsWith('expected.html'))
    .sort()
    .map((name) => join(folder, name))

interface Timing {
  readonly seconds: number
  readonly pages: number
  readonly peakMb: number
}

/** One arm over all files in a process of its own, so that neither heap nor compiled code is shared. */
function timeArm(name: string, folder: string): Timing {
  const script = process.argv[1] ?? ''
  const out = execFileSync(process.execPath, [script, folder, '--arm', name], { encoding: 'utf8' })
  return JSON.parse(out) as Timing
}

function runArm(name: string, folder: string): Timing {
  const run = arms[name]
  if (!run) throw new Error(`no arm ${name}`)
  const bodies = htmlFiles(folder).map((file) => readFileSync(file))
  const start = performance.now()
  for (const body of bodies) guarded(run, body)
  const seconds = (performance.now() - start) / 1000
  return { seconds, pages: bodies.length, peakMb: process.resourceUsage().maxRSS / 1024 }
}

function speed(folder: string) {
  const names = Object.keys(arms)
  // Arms take turns, so that a slow minute of the machine hits both.
  const rounds = Array.from({ length: REPETITIONS }, () => names.map((name) => timeArm(name, folder)))
  names.forEach((name, arm) => {
    const timings = rounds.map((round) => round[arm]).filter((timing) => timing !== undefined)
    const rates = timings.map(({ pages, seconds }) => pages / seconds).sort((a, b) => a - b)
    const peak = Math.max(...timings.map(({ peakMb }) => peakMb))
    const [least, median, most] = [rates[0], rates[rates.length >> 1], rates.at(-1)].map((rate) => rate?.toFixed(1))
    console.log(`${name}: ${median} pages/s (min ${least}, max ${most}), peak ${peak.toFixed(0)} MB, one core`)
  })
  const ratios = rounds.map(([ours, base]) => (base?.seconds ?? 0) / (ours?.seconds ?? 1)).sort((a, b) => a - b)
  console.log(`ratio: ${ratios.map((ratio) => ratio.toFixed(2)).join(' / ')} (min / median / max)`)
}

/** Prints both parts; a part whose pages are missing is left out with a word. */
export function benchExtraction(folder: string): void {
  if (existsSync(join(folder, 'ground-truth'))) {
    const pages = labelledPages(folder)
    for (const [name, run] of Object.entries(arms)) quality(name, run, pages)
  } else console.log(`no labelled pages in ${folder}: F1 left out`)
  const articles = join(folder, 'readability-pages')
  if (existsSync(articles)) speed(articles)
  else console.log(`no ${articles}: speed left out`)
}

if (import.meta.main) {
  const [folder = '.sluice/corpora', flag, arm = ''] = process.argv.slice(2)
  if (flag === '--arm') console.log(JSON.stringify(runArm(arm, folder)))
  else benchExtraction(folder)
}
