/** A deterministic web site of three tenants, for the demo and for tests: nothing leaves this machine. */
import { auenwerk, auenwerkFrame, auenwerkPageCount } from './auenwerk.ts'
import { brevaro, brevaroFrame, brevaroPageCount } from './brevaro.ts'
import { kumonoki, kumonokiFrame, kumonokiPageCount } from './kumonoki.ts'
import { serveTenant } from './serve.ts'

export const sampleTenants = [
  { site: brevaro, frame: brevaroFrame },
  { site: auenwerk, frame: auenwerkFrame },
  { site: kumonoki, frame: kumonokiFrame },
]

/** Pages with content that a crawl of the tenant finds; a duplicate counts once, gone and empty pages do not count. */
export const expectedPages: Readonly<Record<string, number>> = {
  brevaro: brevaroPageCount,
  auenwerk: auenwerkPageCount,
  kumonoki: kumonokiPageCount,
}

/** Questions whose answer stands on one page, in words that the page uses: search by words finds it. */
export const sampleQuestions: readonly { tenant: string; question: string; expectedPath: string }[] = [
  {
    tenant: 'brevaro',
    question: 'How much citric acid do I need to descale the Marea Duo?',
    expectedPath: '/machines/marea-duo/descaling',
  },
  {
    tenant: 'auenwerk',
    question: 'Wie tief darf die Tauchpumpe T 450 höchstens eintauchen?',
    expectedPath: '/produkte/t-450',
  },
  {
    tenant: 'kumonoki',
    question: 'Combien coûte la livraison en Europe ?',
    expectedPath: '/fr/livraison',
  },
]

export interface SampleSite {
  /** `url`: where the tenant's crawl starts; its host:port is what CRAWL_ALLOW_HOSTS has to name. */
  readonly tenants: readonly { readonly tenant: string; readonly url: string }[]
  readonly close: () => Promise<void>
}

/** Serves all tenants on loopback, each on a port of its own: `port`, `port + 1`, …, or free ones. */
export async function startSampleSite({ port }: { port?: number } = {}): Promise<SampleSite> {
  const served = await Promise.all(
    sampleTenants.map(async ({ site, frame }, index) => ({
      tenant: site.tenant,
      ...(await serveTenant(site, frame, port === undefined ? 0 : port + index)),
    })),
  )
  return {
    tenants: served.map(({ tenant, url }) => ({ tenant, url })),
    close: async () => void (await Promise.all(served.map(({ close }) => close()))),
  }
}
