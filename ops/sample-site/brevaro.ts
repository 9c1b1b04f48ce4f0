/** The English tenant: 200 pages with content, and one of each kind that crawlers stumble over. */
import { errorCodes, errorPages } from './brevaro-errors.ts'
import { companyPages, guidePages } from './brevaro-guides.ts'
import { machinePages } from './brevaro-machines.ts'
import { models } from './brevaro-models.ts'
import { bullets, type Frame, link, paragraphs, type SamplePage, type SampleTenant, table } from './page.ts'

export const brevaroFrame: Frame = {
  site: 'Brevaro',
  nav: [
    ['/machines', 'Machines'],
    ['/guides', 'Guides'],
    ['/errors', 'Error codes'],
    ['/warranty', 'Warranty'],
    ['/contact', 'Contact'],
  ],
  cookies: 'We use cookies to remember your basket and to count visits. You can change your choice at any time.',
  footer: '© Brevaro Macchine. All rights reserved. Newsletter · Imprint · Privacy',
}

const home: SamplePage = {
  path: '/',
  title: 'Espresso machines from Trieste',
  lang: 'en',
  main: `${paragraphs(
    'Brevaro has built espresso machines above the harbour of Trieste since 1958. Twenty models leave the workshop today, from a traveller of four kilograms to a bar machine with three groups.',
    `On these pages you find the manuals of ${link('/machines', 'all machines')}, ${link('/guides', 'guides')} for better coffee and the meaning of ${link('/errors', 'every error code')}.`,
  )}<h2>Before and after you buy</h2>${bullets([
    link('/warranty', 'What the warranty covers'),
    link('/shipping', 'How machines are shipped'),
    link('/returns', 'Sending a machine back'),
    link('/contact', 'Asking the workshop'),
    link('/machines/marea-duo?view=print', 'The Marea Duo, to print'),
    link('/marea', 'Our best known machine'),
    link('/news', 'News'),
    link('/machines/aria-zero', 'The Aria Zero of 2009'),
    link('/internal/prices', 'Prices for dealers'),
  ])}`,
}

const machineIndex: SamplePage = {
  path: '/machines',
  title: 'All machines',
  lang: 'en',
  main: `${paragraphs('Four families: Aria for one or two people, Marea for those who steam milk every day, Torre with a grinder inside, and Bottega for cafés.')}${table(
    ['Machine', 'Family', 'Heating', 'Weight'],
    models.map((model) => [
      link(`/machines/${model.slug}`, model.name),
      model.family,
      model.boiler,
      `${model.kilograms} kg`,
    ]),
  )}`,
}

const guideIndex: SamplePage = {
  path: '/guides',
  title: 'Guides',
  lang: 'en',
  main: `${paragraphs('Twelve short texts from our trainers. Begin with water and grind: together they decide nine tenths of what is in the cup.')}${bullets(guidePages.map(({ path, title }) => link(path, title)))}`,
}

const errorIndex: SamplePage = {
  path: '/errors',
  title: 'Error codes',
  lang: 'en',
  main: `${paragraphs('All machines built since 2015 share these codes. A code that blinks has passed already; one that stands still wants something from you.')}${table(
    ['Code', 'Meaning'],
    errorCodes.map(({ code, name, path }) => [link(path, code), name]),
  )}`,
}

const withContent = [
  home,
  machineIndex,
  guideIndex,
  errorIndex,
  ...machinePages,
  ...errorPages,
  ...guidePages,
  ...companyPages,
]
const duo = machinePages.find(({ path }) => path === '/machines/marea-duo')!

/** Duplicate, empty, and forbidden: reachable, yet no page of knowledge more. */
const others: readonly SamplePage[] = [
  { ...duo, path: '/machines/marea-duo?view=print', canonical: duo.path },
  { path: '/news', title: 'News', lang: 'en', main: '' },
  {
    path: '/internal/prices',
    title: 'Dealer prices',
    lang: 'en',
    main: paragraphs('Dealers pay sixty per cent of the list price.'),
  },
]

export const brevaroPageCount = withContent.length

export const brevaro: SampleTenant = {
  tenant: 'brevaro',
  robots: 'User-agent: *\nDisallow: /internal/\n',
  pages: [...withContent, ...others],
  redirects: { '/marea': '/machines/marea-duo' },
  gone: ['/machines/aria-zero'],
}
