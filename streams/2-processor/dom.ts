/** One DOMParser for a whole worker: a `new JSDOM` per page costs several times the parse and keeps gigabytes alive. */
import { JSDOM } from 'jsdom'

let parser: DOMParser | undefined
let pages = 0
/** Bounds what a Window may hold on to; a fresh one costs 7 ms. */
const PAGES_PER_WINDOW = 200
let dom: JSDOM | undefined

export function parseDocument(html: string): Document {
  if (parser === undefined || pages++ >= PAGES_PER_WINDOW) {
    dom?.window.close()
    dom = new JSDOM('')
    parser = new dom.window.DOMParser()
    pages = 0
  }
  return parser.parseFromString(html, 'text/html')
}
