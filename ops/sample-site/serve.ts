/** One tenant's site over HTTP. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type Frame, renderPage, type SampleTenant } from './page.ts'

export interface ServedSite {
  /** Where a crawl starts. */
  readonly url: string
  readonly close: () => Promise<void>
}

/** The day on which the site was "written": with the ETag it lets a second crawl find everything unchanged. */
const LAST_MODIFIED = 'Tue, 02 Sep 2025 08:00:00 GMT'

export async function serveTenant(site: SampleTenant, frame: Frame, port: number): Promise<ServedSite> {
  const answer = answers(site, frame)
  const server = createServer((request, response) => answer(request, response))
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  const { port: chosen } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${chosen}/`,
    close: async () => {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}

function answers(site: SampleTenant, frame: Frame) {
  const pages = new Map(site.pages.map((page) => [page.path, page]))
  return (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? '/'
    const page = pages.get(path)
    const target = site.redirects[path]
    if (path === '/robots.txt') response.writeHead(200, { 'content-type': 'text/plain' }).end(site.robots)
    else if (target) response.writeHead(301, { location: target }).end()
    else if (!page)
      response
        .writeHead(site.gone.includes(path) ? 410 : 404, { 'content-type': 'text/html' })
        .end('<h1>No such page</h1>')
    else {
      const body = renderPage(page, frame)
      const etag = `"${createHash('sha256').update(body).digest('hex').slice(0, 16)}"`
      const headers = { 'content-type': 'text/html', etag, 'last-modified': LAST_MODIFIED }
      if (request.headers['if-none-match'] === etag) response.writeHead(304, headers).end()
      else response.writeHead(200, headers).end(request.method === 'HEAD' ? undefined : body)
    }
  }
}
