/** Server-sent events over fetch: an EventSource could not send the token. */
import { headers } from './api.js'

const RETRY_MS = [500, 1_000, 2_000, 5_000]
/** The server speaks every second; silence for so long is a connection that nobody closed. */
const SILENT_MS = 15_000

/**
 * Goes on until the tab is closed: it connects again by itself, and rests while the tab is hidden.
 * @param on.event (name, data), on.state ('live' | 'lost' | 'resting'), on.token () => Promise, resolved by a new token
 */
export async function follow(path, on) {
  let failures = 0
  for (;;) {
    await untilVisible(on)
    const cut = new AbortController()
    const hide = () => document.hidden && cut.abort()
    document.addEventListener('visibilitychange', hide)
    try {
      const response = await fetch(path, { headers: headers(), signal: cut.signal })
      if (response.status === 401) {
        await on.token()
        continue
      }
      if (!response.ok || !response.body) throw new Error(`the server answered ${response.status}`)
      failures = 0
      on.state('live')
      await read(response.body, on.event, cut)
    } catch {
      // Said below: whatever ended it, the figures on the page are old now.
    } finally {
      document.removeEventListener('visibilitychange', hide)
    }
    if (document.hidden) continue
    on.state('lost')
    await wait(RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)])
  }
}

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** A console that nobody looks at costs the cluster nothing. */
function untilVisible(on) {
  if (!document.hidden) return undefined
  on.state('resting')
  return new Promise((resolve) => {
    const look = () => {
      if (document.hidden) return
      document.removeEventListener('visibilitychange', look)
      resolve()
    }
    document.addEventListener('visibilitychange', look)
  })
}

async function read(body, onEvent, cut) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const silence = setTimeout(() => cut.abort(), SILENT_MS)
    const { value, done } = await reader.read().finally(() => clearTimeout(silence))
    if (done) return
    const blocks = (rest + value).split('\n\n')
    rest = blocks.pop()
    for (const block of blocks) {
      const [, name, data] = /^event: (.+)\ndata: (.+)$/.exec(block) ?? []
      if (name) onEvent(name, JSON.parse(data))
    }
  }
}
