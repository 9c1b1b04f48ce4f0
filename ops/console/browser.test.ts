/** The page in a real browser: hostile texts, the keyboard, names for screen readers, a phone, the token. */
import t from 'tap'
import type { Browser, Page } from 'playwright-core'
import { startAdmin } from '../admin.ts'
import { createMetrics } from '../metrics.ts'
import { systemClock } from '../../streams/runtime/ports.ts'
import { NO_CHROMIUM, findChromium, startBrowser } from '../testing/browser.ts'
import { crawlRow, fakeSources, lagRow, letterRow, tenantRow } from '../testing/console-sources.ts'
import { eventually } from '../testing/eventually.ts'
import { createConsole } from './console.ts'

const TOKEN = 'a-token-of-sixteen-or-more'
const hostile = [
  '<img src=x onerror="window.pwned = 1">',
  '"><script>window.pwned = 1</script>',
  `javascript:window.pwned=1//'"><svg onload=window.pwned=1>`,
  '\u202Egnp.exe\u2066 hidden \u0000\u001b[31m',
  'A'.repeat(10_000),
  '字'.repeat(3_000),
]

// Half a second a page where the machine is free, ten times that where it is not.
t.setTimeout(240_000)
const path = findChromium()
if (path === undefined) {
  t.comment(NO_CHROMIUM)
  t.test('the console in a browser', { skip: NO_CHROMIUM }, () => {})
} else {
  const browser = await startBrowser(path)
  t.teardown(() => browser.close())
  suite(browser)
}

interface Test {
  readonly teardown: (close: () => Promise<void>) => unknown
}

interface Options {
  readonly token?: string
  readonly fake?: ReturnType<typeof fakeSources>
  readonly width?: number
  readonly scheme?: 'light' | 'dark'
}

async function show(
  t: Test,
  browser: Browser,
  { token, fake = fakeSources(), width = 1280, scheme = 'light' }: Options = {},
) {
  const console = createConsole({
    sources: fake.sources,
    token,
    clock: systemClock,
    logger: { info: () => {}, warn: () => {} },
  })
  const admin = await startAdmin({ host: '127.0.0.1', port: 0, token, stages: [], metrics: createMetrics(), console })
  const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: scheme, reducedMotion: 'reduce' })
  const problems: string[] = []
  page.on('pageerror', (error) => problems.push(error.message))
  // A 401 before the token is given is said on the browser's own console too.
  page.on('console', (line) => line.type() === 'error' && token === undefined && problems.push(line.text()))
  t.teardown(async () => {
    await page.close()
    await admin.close()
  })
  await page.goto(admin.url)
  if (token === undefined) await page.getByText('live', { exact: true }).waitFor()
  return { ...fake, page, problems, admin }
}

const fits = (page: Page) =>
  page.evaluate('document.documentElement.scrollWidth <= document.documentElement.clientWidth')

function suite(browser: Browser) {
  t.test('nothing that strangers wrote is executed, and the layout holds', async (t) => {
    for (const width of [1280, 360]) {
      const fake = fakeSources()
      fake.shown.tenants = hostile.map(tenantRow)
      fake.shown.crawls = hostile.map(crawlRow)
      fake.shown.letters = hostile.map((text, index) => ({ ...letterRow(text), offset: String(index) }))
      fake.shown.pauses = hostile.map((text) => ({
        stage: '',
        tenant: text,
        partition: -1,
        reason: text,
        by: text,
        sinceMs: Date.now(),
      }))
      fake.shown.breakers = [
        { dependency: 'embeddings', kind: 'open', sinceMs: Date.now(), retryInMs: 900, reason: hostile[0] },
      ]
      const { page, problems } = await show(t, browser, { fake, width })
      await page.locator('#dead-letters tbody tr').nth(5).waitFor()
      await page.locator('#tenants tbody tr').nth(5).waitFor()
      t.ok(await page.getByText('<img src=x onerror').first().isVisible(), 'it is shown as what it is')
      t.ok(await page.getByText('⟨U+202E⟩').first().isVisible(), 'overrides of the direction are shown by their number')
      await page.getByRole('button', { name: /^Details of pages.crawled\/1\/1/ }).click()
      await page.getByText('<script>window.pwned = 1</script>').first().waitFor()
      await page.keyboard.press('Escape')
      await page.getByRole('button', { name: /^Details of the crawl of <img/ }).click()
      await page.getByText('Not fetched because of').waitFor()
      t.equal(await page.evaluate('window.pwned'), undefined, `${width} px`)
      t.equal(
        await page.evaluate('document.querySelectorAll("main img, main script, dialog img, dialog script").length'),
        0,
      )
      t.equal(await fits(page), true, `nothing sticks out at ${width} px`)
      t.strictSame(problems, [])
    }
  })

  t.test('inline scripts and markup made from text are refused by the browser itself', async (t) => {
    const { page, admin } = await show(t, browser)
    const refused = await page.evaluate(`(() => {
      try { document.body.innerHTML = '<b>x</b>'; return 'taken' } catch { return 'refused' }
    })()`)
    t.equal(refused, 'refused')
    const frame = await browser.newPage()
    t.teardown(() => frame.close())
    await frame.setContent(`<iframe src="${admin.url}" name="inner"></iframe>`)
    t.notMatch(
      await frame
        .frame('inner')!
        .evaluate('document.body.innerText')
        .catch(() => ''),
      'sluice',
    )
  })

  t.test('a stage is paused by keyboard alone, after a question that holds the focus', async (t) => {
    const { page, called } = await show(t, browser)
    const pause = page.getByRole('button', { name: 'Pause chunker', exact: true })
    await pause.waitFor()
    const focused = () =>
      page.evaluate('document.activeElement.getAttribute("aria-label") ?? document.activeElement.textContent')
    for (let tabs = 0; tabs < 60 && (await focused()) !== 'Pause chunker'; tabs += 1) await page.keyboard.press('Tab')
    t.equal(await focused(), 'Pause chunker', 'it is reached with the Tab key')
    await page.keyboard.press('Enter')
    const dialog = page.getByRole('dialog', { name: 'Pause chunker?' })
    await dialog.waitFor()
    for (let tabs = 0; tabs < 12; tabs += 1) {
      await page.keyboard.press(tabs < 6 ? 'Tab' : 'Shift+Tab')
      t.equal(await page.evaluate('document.activeElement.closest("dialog") !== null'), true)
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
    t.equal(await focused(), 'Pause chunker', 'the focus is back where it was')
    t.strictSame(called('pause'), [], 'Escape has done nothing')
    await page.keyboard.press('Enter')
    await page.keyboard.type('a disk is full')
    await page.keyboard.press('Enter')
    await dialog.waitFor({ state: 'detached' })
    t.match(called('pause'), [['pause', { stage: 'chunker' }, { reason: 'a disk is full', by: 'console' }]])
    t.equal(await page.getByRole('status').textContent(), 'Paused')
  })

  t.test('what the server refuses is said in the dialog, which stays', async (t) => {
    const fake = fakeSources()
    Object.assign(fake.sources.control, { pause: () => Promise.reject(new Error('Kafka is away')) })
    const { page } = await show(t, browser, { fake })
    await page.getByRole('button', { name: 'Pause everything…' }).click()
    await page.getByRole('button', { name: 'Pause', exact: true }).click()
    await page.getByRole('alert').getByText('Kafka is away').waitFor()
    t.ok(await page.getByRole('dialog').isVisible())
  })

  t.test('landmarks, headings and controls have names, strips have words', async (t) => {
    const fake = fakeSources()
    fake.shown.tenants = [tenantRow('acme')]
    fake.shown.lag = [lagRow('chunker', 'pages.processed', 0, { state: 'stalled', reasons: ['no-progress'] })]
    const { page } = await show(t, browser, { fake })
    await page.getByRole('button', { name: 'Limit tenant acme' }).waitFor()
    const tree = await page.locator('body').ariaSnapshot()
    for (const line of [
      /^- banner:/m,
      /^- main:/m,
      /navigation "Parts of this page"/,
      /heading "sluice" \[level=1\]/,
      /region "Flow"/,
      /region "Lag"/,
      /table "Tenants with work, latest first"/,
      /columnheader "Tenant"/,
      /button "Pause tenant acme"/,
      /img "chunker: settled, last 15 minutes: now 4.2\/s/,
      /img "circuit of embeddings, last 15 minutes: now closed/,
    ])
      t.match(tree, line)
    t.strictSame(
      tree.match(/^ *- (button|link|textbox|searchbox|checkbox|combobox|img|progressbar)(:| *\[|$)/gm),
      null,
      'nothing is without a name',
    )
    await page.getByRole('status').getByText('chunker: stalled').waitFor()
  })

  t.test('a figure that changes takes no focus and makes no noise', async (t) => {
    const fake = fakeSources()
    fake.shown.tenants = [tenantRow('acme')]
    const { page } = await show(t, browser, { fake })
    const button = page.getByRole('button', { name: 'Limit tenant acme' })
    await button.focus()
    await page.evaluate(
      'window.said = []; new MutationObserver(() => said.push(announcer.textContent)).observe(announcer, { childList: true })',
    )
    fake.shown.tenants = [tenantRow('before'), tenantRow('acme')]
    fake.shown.lag = [lagRow('chunker', 'pages.processed', 0, { lag: 4_321 })]
    await page.getByRole('button', { name: 'Limit tenant before' }).waitFor()
    await page.locator('#flow').getByText('4,321').waitFor()
    t.equal(await page.evaluate('document.activeElement.getAttribute("aria-label")'), 'Limit tenant acme')
    t.strictSame(await page.evaluate('said'), [])
  })

  t.test('with a token it asks, keeps it for the tab, and asks again when it was wrong', async (t) => {
    const { page } = await show(t, browser, { token: TOKEN })
    await page.getByLabel('Token').fill('not the one')
    await page.keyboard.press('Enter')
    await page.getByText('That token was not right.').waitFor()
    await page.getByLabel('Token').fill(TOKEN)
    await page.keyboard.press('Enter')
    await page.getByText('live', { exact: true }).waitFor()
    t.equal(await page.evaluate('localStorage.length'), 0)
    t.notMatch(page.url(), TOKEN)
    await page.reload()
    await page.getByText('live', { exact: true }).waitFor()
  })

  t.test('another site can neither act nor listen, whatever it sends', async (t) => {
    const { admin, called } = await show(t, browser)
    const other = await browser.newPage()
    t.teardown(() => other.close())
    // Another port is another origin, and the same site: cookies would be sent, and SameSite would not help.
    const strange = await startAdmin({
      host: '127.0.0.1',
      port: 0,
      token: undefined,
      stages: [],
      metrics: createMetrics(),
    })
    t.teardown(strange.close)
    await other.goto(`${strange.url}healthz`)
    const outcomes = await other.evaluate(`(async () => {
      const url = ${JSON.stringify(admin.url)}
      const body = JSON.stringify({ stage: 'all' })
      const tries = [
        ['json', { method: 'POST', body, headers: { 'content-type': 'application/json' } }],
        ['plain', { method: 'POST', body }],
        ['opaque', { method: 'POST', body, mode: 'no-cors' }],
      ]
      const found = []
      for (const [name, options] of tries)
        found.push(name + ': ' + (await fetch(url + 'api/pause', options).then((r) => r.type, () => 'failed')))
      return found
    })()`)
    t.strictSame(called('pause'), [], JSON.stringify(outcomes))
  })

  t.test('a replay starts with its dry run, and is asked about again', async (t) => {
    const { page, called } = await show(t, browser, { scheme: 'dark' })
    await page.getByRole('button', { name: 'Plan a replay…' }).click()
    await page.getByLabel('From').fill('6h')
    await page.getByRole('button', { name: 'Dry run' }).click()
    await page.getByRole('dialog', { name: 'Replay of chunker?' }).getByText('1,200').waitFor()
    t.strictSame(called('replay'), [])
    await page.getByRole('button', { name: 'Start the replay' }).click()
    await eventually(
      'the replay has started',
      () => called('replay').length,
      (count) => count === 1,
    )
    t.match(called('replay'), [['replay', { stage: 'chunker', from: '6h', to: 'now' }]])
  })

  t.test('chosen dead letters are redriven, and discarding needs a reason', async (t) => {
    const fake = fakeSources()
    fake.shown.letters = [letterRow('broken'), { ...letterRow('other'), offset: '8' }]
    const { page, called } = await show(t, browser, { fake })
    await page.getByRole('checkbox', { name: 'Choose pages.crawled/1/8' }).check()
    await page.getByRole('button', { name: 'Redrive 1…' }).click()
    await page.getByRole('button', { name: 'Redrive', exact: true }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.match(called('redrive'), [['redrive', { topic: 'pages.crawled', ids: ['1/8'], perSecond: 10 }]])
    await page.getByRole('button', { name: 'Discard 1…' }).click()
    await page.getByRole('button', { name: 'Discard', exact: true }).click()
    t.ok(await page.getByRole('dialog').isVisible(), 'the browser asks for the reason')
    await page.getByLabel('Reason').fill('a test page')
    await page.getByRole('button', { name: 'Discard', exact: true }).click()
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    t.match(called('discard'), [['discard', { ids: ['1/8'], reason: 'a test page' }]])
  })

  t.test('a server that is gone makes the figures old, and its return makes them live', async (t) => {
    const { page, admin, sources } = await show(t, browser)
    await admin.close()
    await page.getByText('connection lost, trying again').waitFor()
    t.equal(await page.locator('#summary').textContent(), 'Figures are old')
    const console = createConsole({
      sources,
      token: undefined,
      clock: systemClock,
      logger: { info: () => {}, warn: () => {} },
    })
    const again = await startAdmin({
      host: '127.0.0.1',
      port: admin.port,
      token: undefined,
      stages: [],
      metrics: createMetrics(),
      console,
    })
    t.teardown(again.close)
    await page.getByText('live', { exact: true }).waitFor()
  })
}
