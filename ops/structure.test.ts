import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { ESLint } from 'eslint'
import t from 'tap'
import tseslint from 'typescript-eslint'
import { stageNames } from '../streams/topology.ts'

const root = join(import.meta.dirname, '..')

void t.test(
  'the top level holds the five folders, the files that tools look for there, and nothing else',
  async (t) => {
    const folders = ['connectors', 'migrations', 'ops', 'schemas', 'streams']
    const files = ['CHANGELOG.md', 'LICENSE', 'README.md', 'docker-compose.yml']
    const tools = ['package.json', 'package-lock.json', 'tsconfig.json']
    const entries = readdirSync(root, { withFileTypes: true }).filter(
      ({ name }) => !name.startsWith('.') && name !== 'node_modules',
    )
    const found = (wanted: boolean) => entries.filter((entry) => entry.isDirectory() === wanted).map(({ name }) => name)
    t.strictSame(found(true).sort(), folders)
    t.strictSame(
      found(false).filter((name) => ![...files, ...tools].includes(name)),
      [],
    )
  },
)

void t.test('the folders of streams/ name the stages in the order of the topology', async (t) => {
  const numbered = readdirSync(join(root, 'streams')).filter((name) => /^\d/.test(name))
  t.strictSame(
    numbered.sort(),
    stageNames.map((stage, index) => `${index + 1}-${stage}`),
  )
})

// Without types a file that is not there can be linted, and quickly; the borders need none.
const untyped = new ESLint({
  cwd: root,
  overrideConfigFile: 'ops/eslint.config.js',
  overrideConfig: tseslint.configs.disableTypeChecked as ESLint.Options['overrideConfig'],
})
/** Rules that a snippet breaks when it stands in `file`; unused variables are beside the point. */
async function broken(file: string, code: string, eslint = untyped): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath: join(root, file) })
  const rules = result!.messages.map(({ ruleId, message }) => ruleId ?? `parse error: ${message}`)
  return [...new Set(rules)].filter((rule) => !['@typescript-eslint/no-unused-vars'].includes(rule))
}

interface Border {
  readonly rule: string
  readonly code: string
  readonly refusedIn: readonly string[]
  readonly allowedIn: readonly string[]
}
const aStage = 'streams/2-processor/example.ts'
const everyStage = stageNames.map((stage, index) => `streams/${index + 1}-${stage}/example.ts`)

const borders: Record<string, Border> = {
  'a stage knows no connector': {
    rule: 'no-restricted-imports',
    code: "import { createStore } from '../../connectors/postgres/store.ts'\ncreateStore()\n",
    refusedIn: [...everyStage, 'streams/runtime/example.ts', 'streams/2-processor/deep/example.ts'],
    allowedIn: ['ops/example.ts', 'connectors/kafka/example.ts', 'streams/2-processor/example.test.ts'],
  },
  'not even by type': {
    rule: 'no-restricted-imports',
    code: "import type { Store } from '../../connectors/postgres/store.ts'\nexport type A = Store\n",
    refusedIn: everyStage,
    allowedIn: ['ops/example.ts'],
  },
  'nor through a re-export': {
    rule: 'no-restricted-imports',
    code: "export { createStore } from '../../connectors/postgres/store.ts'\n",
    refusedIn: everyStage,
    allowedIn: ['ops/example.ts'],
  },
  'a stage knows no runtime': {
    rule: 'no-restricted-imports',
    code: "import { createSettle } from '../runtime/settle.ts'\ncreateSettle()\n",
    refusedIn: everyStage,
    allowedIn: ['streams/runtime/example.ts', 'ops/example.ts'],
  },
  'a stage may use outcomes, errors and writes': {
    rule: 'none',
    code: "import { StageError } from '../errors.ts'\nimport type { Outcome } from '../outcome.ts'\nexport const a: Outcome = StageError\n",
    refusedIn: [],
    allowedIn: everyStage,
  },
  'the runtime knows no stage': {
    rule: 'no-restricted-imports',
    code: "import { processor } from '../2-processor/processor.ts'\nprocessor()\n",
    refusedIn: ['streams/runtime/example.ts'],
    allowedIn: ['ops/example.ts'],
  },
  'settings come from outside, not from ops': {
    rule: 'no-restricted-imports',
    code: "import { defaults } from '../../ops/config.ts'\ndefaults()\n",
    refusedIn: [
      ...everyStage,
      'streams/runtime/example.ts',
      'connectors/kafka/example.ts',
      'connectors/web/example.ts',
    ],
    allowedIn: ['ops/commands/example.ts'],
  },
  'only connectors/web uses undici': {
    rule: 'no-restricted-imports',
    code: "import { request } from 'undici'\nrequest()\n",
    refusedIn: [...everyStage, 'connectors/embeddings/example.ts', 'ops/commands/example.ts', 'schemas/example.ts'],
    allowedIn: [
      'connectors/web/example.ts',
      'ops/embedded/example.ts',
      'ops/testing/example.ts',
      'ops/example.test.ts',
    ],
  },
  'and fetch': {
    rule: 'no-restricted-globals',
    code: "void fetch('http://a.example/')\n",
    refusedIn: [...everyStage, 'connectors/embeddings/example.ts', 'ops/commands/example.ts', 'schemas/example.ts'],
    allowedIn: [
      'connectors/web/example.ts',
      'ops/embedded/example.ts',
      'ops/testing/example.ts',
      'ops/example.test.ts',
    ],
  },
  'also by the back door': {
    rule: 'no-restricted-properties',
    code: "void globalThis.fetch('http://a.example/')\n",
    refusedIn: [...everyStage, 'ops/commands/example.ts'],
    allowedIn: ['ops/embedded/example.ts'],
  },
  'a fetch that was handed in is fine': {
    rule: 'none',
    code: 'export const get = (fetch: (url: string) => string) => fetch("http://a.example/")\n',
    refusedIn: [],
    allowedIn: everyStage,
  },
  'only ops/config.ts reads the environment': {
    rule: 'no-restricted-properties',
    code: 'export const level = process.env.LOG_LEVEL\n',
    refusedIn: [
      ...everyStage,
      'streams/runtime/example.ts',
      'connectors/kafka/example.ts',
      'ops/commands/example.ts',
      'ops/embedded/example.ts',
      'ops/cli.ts',
    ],
    allowedIn: ['ops/config.ts', 'ops/example.test.ts', 'ops/testing/example.ts'],
  },
  'whichever way it is written': {
    rule: 'no-restricted-properties',
    code: "const { env } = process\nexport const level = [env, process['env']]\n",
    refusedIn: [aStage, 'ops/commands/example.ts'],
    allowedIn: ['ops/config.ts'],
  },
  'or imported': {
    rule: 'no-restricted-imports',
    code: "import { env } from 'node:process'\nexport const level = env\n",
    refusedIn: [aStage, 'connectors/web/example.ts', 'ops/commands/example.ts'],
    allowedIn: ['ops/example.test.ts'],
  },
  'only the pause scheduler pauses a consumer': {
    rule: 'no-restricted-syntax',
    code: "consumer.pause([{ topic: 'a', partitions: [0] }])\n",
    refusedIn: [...everyStage, 'streams/runtime/example.ts', 'streams/runtime/commit.ts', 'ops/example.ts'],
    allowedIn: ['streams/runtime/pause-scheduler.ts', 'streams/runtime/example.test.ts'],
  },
  'whether the consumer is a member': {
    rule: 'no-restricted-syntax',
    code: 'd.consumer.resume([])\n',
    refusedIn: ['streams/runtime/example.ts', 'connectors/kafka/example.ts'],
    allowedIn: ['streams/runtime/pause-scheduler.ts'],
  },
  'or the payload': {
    rule: 'no-restricted-syntax',
    code: 'const { pause } = payload\npause()\npayload.pause()\n',
    refusedIn: ['streams/runtime/example.ts'],
    allowedIn: ['streams/runtime/pause-scheduler.ts'],
  },
  'everybody may ask the scheduler': {
    rule: 'none',
    code: "scheduler.pause(at, 'rate')\nresponse.resume()\n",
    refusedIn: [],
    allowedIn: ['streams/runtime/example.ts', 'ops/example.ts'],
  },
  'only commit.ts moves offsets': {
    rule: 'no-restricted-syntax',
    code: "payload.resolveOffset('1')\n",
    refusedIn: [aStage, 'streams/runtime/intake.ts', 'streams/runtime/pause-scheduler.ts', 'ops/example.ts'],
    allowedIn: ['streams/runtime/commit.ts', 'streams/runtime/example.test.ts'],
  },
  'by any of the ways there are': {
    rule: 'no-restricted-syntax',
    code: 'const { commitOffsetsIfNecessary } = payload\nvoid consumer.commitOffsets([])\n',
    refusedIn: ['streams/runtime/intake.ts', 'ops/commands/example.ts'],
    allowedIn: ['streams/runtime/commit.ts'],
  },
  'classes are for errors': {
    rule: 'no-restricted-syntax',
    code: 'export class Store {}\n',
    refusedIn: [
      aStage,
      'streams/runtime/commit.ts',
      'streams/runtime/pause-scheduler.ts',
      'connectors/postgres/example.ts',
    ],
    allowedIn: ['ops/example.test.ts'],
  },
  'and errors may be classes': {
    rule: 'none',
    code: 'export class Lost extends Error {}\n',
    refusedIn: [],
    allowedIn: [aStage, 'streams/errors.ts'],
  },
}
for (const driver of [
  'kafkajs',
  'knex',
  'pg',
  'undici',
  'openai',
  'node:http',
  'https',
  'node:net',
  'node:tls',
  'node:dns/promises',
])
  borders[`a stage does not import ${driver}`] = {
    rule: 'no-restricted-imports',
    code: `import * as driver from '${driver}'\ndriver.use()\n`,
    refusedIn: everyStage,
    allowedIn: ['connectors/web/example.ts'],
  }

for (const [name, { rule, code, refusedIn, allowedIn }] of Object.entries(borders)) {
  void t.test(name, async (t) => {
    for (const file of refusedIn) t.strictSame(await broken(file, code), [rule], `refused in ${file}`)
    for (const file of allowedIn) t.strictSame(await broken(file, code), [], `allowed in ${file}`)
  })
}

void t.test('with types, a promise that nobody waits for is refused', async (t) => {
  const typed = new ESLint({ cwd: root, overrideConfigFile: 'ops/eslint.config.js' })
  const code = 'export function start(work: () => Promise<void>) {\n  work()\n}\n'
  t.strictSame(await broken('streams/source-id.ts', code, typed), ['@typescript-eslint/no-floating-promises'])
})
