/** A page of the sample site and the HTML around it: what real pages wrap their content in. */

export interface SamplePage {
  /** With its query, if any. */
  readonly path: string
  readonly title: string
  readonly lang: string
  /** HTML of the content; empty: a page of nothing but its frame. */
  readonly main: string
  readonly canonical?: string
  readonly rightToLeft?: true
  /** The label that the page declares, and how its text becomes bytes; default UTF-8. */
  readonly charset?: { readonly label: string; readonly encode: (html: string) => Buffer }
}

/** Everything that one tenant's site answers. */
export interface SampleTenant {
  readonly tenant: string
  readonly robots: string
  readonly pages: readonly SamplePage[]
  readonly redirects: Readonly<Record<string, string>>
  readonly gone: readonly string[]
}

export interface Frame {
  readonly site: string
  readonly nav: readonly (readonly [path: string, label: string])[]
  readonly cookies: string
  readonly footer: string
}

/** Latin-1 but for the row 0x80, of which only the apostrophe is used here. */
export const windows1252 = {
  label: 'windows-1252',
  encode: (html: string) => Buffer.from(html.replaceAll('’', '\u0092'), 'latin1'),
}

/** The whole document: cookie banner, navigation and footer are the noise that an extractor has to leave out. */
export function renderPage(page: SamplePage, frame: Frame): Buffer {
  const { label, encode } = page.charset ?? { label: 'utf-8', encode: (html: string) => Buffer.from(html) }
  const links = frame.nav.map(([path, text]) => `<li><a href="${path}">${text}</a></li>`).join('')
  const canonical = page.canonical ? `<link rel="canonical" href="${page.canonical}">` : ''
  return encode(`<!doctype html>
<html lang="${page.lang}"${page.rightToLeft ? ' dir="rtl"' : ''}>
<head><meta charset="${label}"><title>${page.title} | ${frame.site}</title>${canonical}
<style>body{font:16px/1.5 sans-serif;margin:0 auto;max-width:60rem}</style>
<script>window.dataLayer=window.dataLayer||[];dataLayer.push({event:"view",page:"${page.path}"})</script></head>
<body>
<div id="cookie-banner" class="cookie-consent" role="dialog"><p>${frame.cookies}</p><button>OK</button></div>
<header><a href="/" class="logo">${frame.site}</a><nav><ul>${links}</ul></nav></header>
<main><article>${page.main && `<h1>${page.title}</h1>${page.main}`}</article></main>
<footer><p>${frame.footer}</p><ul>${links}</ul></footer>
<script>setTimeout(function(){document.body.className="ready"},0)</script>
</body></html>`)
}

export const paragraphs = (...texts: readonly string[]) => texts.map((text) => `<p>${text}</p>`).join('\n')
export const bullets = (items: readonly string[]) => `<ul>${items.map((item) => `<li>${item}</li>`).join('')}</ul>`
export const steps = (items: readonly string[]) => `<ol>${items.map((item) => `<li>${item}</li>`).join('')}</ol>`
export const link = (path: string, text: string) => `<a href="${path}">${text}</a>`

export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = (tag: string, row: readonly (string | number)[]) =>
    row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('')
  return `<table><thead><tr>${cells('th', head)}</tr></thead><tbody>${body}</tbody></table>`
}
