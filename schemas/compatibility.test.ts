import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { isUpToDate } from '../ops/codegen.ts'
import { parseSchema, schemaText } from './avro.ts'
import { topicNames } from './topics.ts'
import type { TopicName } from './topics.ts'

interface Named {
  readonly type: unknown
  readonly name: string
  readonly doc?: string
  readonly fields?: readonly Field[]
  readonly items?: unknown
}
interface Field extends Named {
  readonly default?: unknown
}
interface Version {
  readonly number: number
  readonly text: string
}

const historyDir = join(import.meta.dirname, 'history')

/** Committed versions of a topic's schema, oldest first; files are named 1.avsc, 2.avsc, … */
function history(topic: TopicName): Version[] {
  const folder = join(historyDir, topic)
  return readdirSync(folder)
    .map((file) => ({ number: Number(file.replace('.avsc', '')), text: readFileSync(join(folder, file), 'utf8') }))
    .sort((a, b) => a.number - b.number)
}

/** What the registry's FULL_TRANSITIVE asks: both ways, against every version. Empty: compatible. */
function incompatibilities(current: string, versions: readonly Version[]): string[] {
  return versions.flatMap(({ number, text }) => [
    ...unreadable(`today's schema cannot read version ${number}`, current, text),
    ...unreadable(`version ${number} cannot read today's schema`, text, current),
  ])
}

function unreadable(what: string, reader: string, writer: string): string[] {
  try {
    parseSchema(reader).createResolver(parseSchema(writer))
    return []
  } catch (error) {
    return [`${what}: ${(error as Error).message}`]
  }
}

/** Paths of all fields and named types below a schema that lack a `doc`. */
function undocumented(schema: unknown, path: string): string[] {
  if (schema === null || typeof schema !== 'object') return []
  const { type, name, doc, fields, items } = schema as Named
  const own = (type === 'record' || type === 'enum') && !doc ? [`${path} (type ${name})`] : []
  return [
    ...own,
    ...undocumented(items, `${path}[]`),
    ...(fields ?? []).flatMap((field) => [
      ...(field.doc ? [] : [`${path}.${field.name}`]),
      ...undocumented(field.type, `${path}.${field.name}`),
    ]),
  ]
}

for (const topic of topicNames) {
  void t.test(`${topic}: every version ever published and today's schema read each other`, async (t) => {
    t.strictSame(incompatibilities(schemaText(topic), history(topic)), [])
  })
  void t.test(`${topic}: today's schema is its newest published version`, async (t) => {
    const versions = history(topic)
    t.strictSame(
      versions.map(({ number }) => number),
      versions.map((_, index) => index + 1),
      'versions are numbered 1, 2, 3, …',
    )
    t.strictSame(
      JSON.parse(schemaText(topic)),
      JSON.parse(versions.at(-1)!.text),
      `the schema has changed: copy it to schemas/history/${topic}/${versions.length + 1}.avsc, never edit an older one`,
    )
  })
  void t.test(`${topic}: every field and type says what it means`, async (t) => {
    t.strictSame(undocumented(JSON.parse(schemaText(topic)), topic), [])
  })
}

void t.test('the history holds the declared topics and no others', async (t) => {
  t.strictSame(readdirSync(historyDir).sort(), [...topicNames].sort())
})

/** The fields a producer outside this project must fill in: the public contract. */
const requiredOfForeigners = {
  'crawl.requests': ['tenant_id', 'urls'],
  'pages.crawled': ['tenant_id', 'url', 'body', 'content_type'],
} satisfies Partial<Record<TopicName, string[]>>

for (const [topic, required] of Object.entries(requiredOfForeigners) as [TopicName, string[]][]) {
  const schema = JSON.parse(schemaText(topic)) as { fields: Field[] }
  void t.test(`${topic}: a producer elsewhere needs only ${required.join(', ')}`, async (t) => {
    t.strictSame(
      schema.fields.filter((field) => field.default === undefined).map(({ name }) => name),
      required,
    )
  })
  void t.test(`${topic}: a record written with those fields alone is read, the rest filled in`, async (t) => {
    const fields = schema.fields.filter(({ name }) => required.includes(name))
    const writer = parseSchema(JSON.stringify({ ...schema, fields }))
    const reader = parseSchema(schemaText(topic))
    const samples = {
      tenant_id: 'acme',
      urls: ['https://a.example/'],
      url: 'u',
      body: Buffer.from('b'),
      content_type: 'c',
    }
    const given = Object.fromEntries(Object.entries(samples).filter(([name]) => required.includes(name)))
    const read = reader.fromBuffer(writer.toBuffer(given), reader.createResolver(writer)) as Record<string, unknown>
    t.match(read, { ...given, chunk_type: 'website', crawl_id: '' })
    t.strictSame(Object.keys(read).length, schema.fields.length)
  })
}

void t.test('the generated types are those of the schemas', async (t) => {
  t.ok(isUpToDate(), 'run `npm run generate` and commit the result')
})

void t.test('the checker refuses what would break a reader or a producer', async (t) => {
  const published = { type: 'record', name: 'R', fields: [{ name: 'a', type: 'string' }] }
  const states = (symbols: string[], rest: object = {}) => ({
    ...published,
    fields: [...published.fields, { name: 's', type: { type: 'enum', name: 'S', symbols, ...rest }, default: 'A' }],
  })
  const check = (today: object, before: object = published) =>
    incompatibilities(JSON.stringify(today), [{ number: 1, text: JSON.stringify(before) }])
  const withField = (field: object) => ({ ...published, fields: [...published.fields, field] })

  t.strictSame(check(published), [])
  t.strictSame(check(withField({ name: 'b', type: 'int', default: 0 })), [], 'a new field with a default')
  t.match(check(withField({ name: 'b', type: 'int' })), [/today's schema cannot read version 1/], 'without a default')
  t.match(check({ ...published, fields: [] }), [/version 1 cannot read today's schema/], 'a required field taken away')
  t.equal(check({ ...published, fields: [{ name: 'a', type: 'int' }] }).length, 2, 'another type')
  t.equal(check({ ...published, name: 'Renamed' }).length, 2, 'another name')
  t.match(
    check(states(['A', 'B']), states(['A'])),
    [/version 1 cannot read/],
    'a new symbol that old readers do not know',
  )
  t.strictSame(
    check(states(['A', 'B'], { default: 'A' }), states(['A'], { default: 'A' })),
    [],
    'unless they have a default',
  )
  t.throws(
    () => parseSchema(JSON.stringify(withField({ name: 'b', type: 'int', default: 'x' }))),
    'a default of another type',
  )
})
