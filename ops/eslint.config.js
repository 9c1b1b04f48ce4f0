/**
 * Lint rules: correctness from typescript-eslint's type-checked set, and this project's architecture, one rule a border.
 * `eslint -c ops/eslint.config.js .` from the root. Formatting is prettier's; ops/structure.test.ts proves that each
 * border holds.
 */
import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import regexp from 'eslint-plugin-regexp'
import tseslint from 'typescript-eslint'

const tests = ['**/*.test.ts', 'ops/testing/**']
const stages = ['streams/[0-9]-*/**/*.ts']

// --- imports ---------------------------------------------------------------------------------------------------------

/** The environment is read in ops/config.ts alone, so nobody imports it either. */
const environmentImport = ['process', 'node:process'].map((name) => ({
  name,
  importNames: ['env', 'default'],
  message: 'Only ops/config.ts reads the environment; take settings as arguments.',
}))
const webImport = {
  regex: '^undici(/|$)',
  message: 'Only connectors/web speaks HTTP to the outside, behind its address guard.',
}
/** Type imports count too: a stage that names a connector's type is tied to it. */
const stageImports = [
  { regex: '(^|/)connectors/', message: 'Stages take their ports as deps: no connectors here.' },
  { regex: '(^|/)runtime/', message: 'Stages return outcomes, the runtime acts: no runtime here.' },
  { regex: '(^|/)ops/', message: 'Stages take settings as arguments: no ops here.' },
  {
    regex: '^(kafkajs|@kafkajs/.*|knex|pg|pgvector|undici|openai|piscina)(/|$)',
    message: 'Stages know no broker, no database and no API: ask for a port.',
  },
  {
    regex: '^(node:)?(http|https|http2|net|tls|dns|dgram|child_process|worker_threads)(/|$)',
    message: 'Stages do no I/O of their own: ask for a port.',
  },
]
const outward = 'Imports point inwards: take what is outside as an argument.'
const layer = (name, message) => ({ regex: `(^|/)${name}/`, message })

const imports = (...patterns) => ({ 'no-restricted-imports': ['error', { paths: environmentImport, patterns }] })

// --- syntax ----------------------------------------------------------------------------------------------------------

const noClass = {
  selector: ':matches(ClassDeclaration, ClassExpression):not([superClass.name=/Error$/])',
  message: 'Classes are for errors; write a factory with named dependencies.',
}
/** A consumer by the names that kafkajs' objects go by; `scheduler.pause` is the way. */
const pausers = '/(consumer|payload)$/i'
const pauseMessage = 'Only streams/runtime/pause-scheduler.ts pauses and resumes; ask the scheduler.'
const noPause = [
  `CallExpression[callee.property.name=/^(pause|resume)$/][callee.object.name=${pausers}]`,
  `CallExpression[callee.property.name=/^(pause|resume)$/][callee.object.property.name=${pausers}]`,
  `VariableDeclarator[init.name=${pausers}] > ObjectPattern > Property[key.name=/^(pause|resume)$/]`,
].map((selector) => ({ selector, message: pauseMessage }))
const commits = '/^(commitOffsets|commitOffsetsIfNecessary|resolveOffset)$/'
const commitMessage = 'Only streams/runtime/commit.ts moves offsets; call commitProgress.'
const noCommit = [
  `CallExpression[callee.property.name=${commits}]`,
  `CallExpression[callee.name=${commits}]`,
  `ObjectPattern > Property[key.name=${commits}]`,
].map((selector) => ({ selector, message: commitMessage }))

const syntax = (...restrictions) => ({ 'no-restricted-syntax': ['error', noClass, ...restrictions] })

// --- globals ---------------------------------------------------------------------------------------------------------

const fetchMessage = 'Only connectors/web speaks HTTP to the outside, behind its address guard.'
const noFetch = {
  'no-restricted-globals': [
    'error',
    ...['fetch', 'WebSocket', 'EventSource'].map((name) => ({ name, message: fetchMessage })),
  ],
}
const noEnvironment = { object: 'process', property: 'env', message: 'Only ops/config.ts reads the environment.' }
const noGlobalFetch = { object: 'globalThis', property: 'fetch', message: fetchMessage }
const properties = (...restrictions) => ({ 'no-restricted-properties': ['error', ...restrictions] })

export default defineConfig(
  globalIgnores(['node_modules/', '.sluice/', '.tap/', 'schemas/generated/']),
  js.configs.recommended,
  tseslint.configs.recommendedTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: `${import.meta.dirname}/..` } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      // kafkajs, pino and tap take async callbacks where their types say void; conditions and spreads stay checked.
      '@typescript-eslint/no-misused-promises': [
        'error',
        { checksVoidReturn: { arguments: false, properties: false } },
      ],
      // Ports are async by contract, whether a fake or a stage has something to wait for or not.
      '@typescript-eslint/require-await': 'off',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      // Rejecting with an AbortSignal's reason, which is typed any, is the standard way.
      '@typescript-eslint/prefer-promise-reject-errors': [
        'error',
        { allowThrowingUnknown: true, allowThrowingAny: true },
      ],
      // JSON and SQL come in as any and get their type at that very assignment; calls and members of any stay errors.
      '@typescript-eslint/no-unsafe-assignment': 'off',
      // Objects here are bags of functions; kafkajs and pino only happen to declare theirs as methods.
      '@typescript-eslint/unbound-method': 'off',
      // Control characters are what the text cleaning is about.
      'no-control-regex': 'off',
      eqeqeq: ['error', 'always', { null: 'ignore' }],
      'no-console': 'error',
      ...imports(webImport),
      ...syntax(...noPause, ...noCommit),
      ...noFetch,
      ...properties(noEnvironment, noGlobalFetch),
    },
  },

  {
    // Pages and what hosts answer are written by strangers: an expression that backtracks without bound holds a worker
    // until it is killed, and the main thread for good.
    files: ['streams/**/*.ts', 'connectors/**/*.ts'],
    ignores: tests,
    plugins: { regexp },
    rules: {
      'regexp/no-super-linear-backtracking': ['error', { report: 'potential' }],
      'regexp/no-super-linear-move': ['error', { report: 'potential' }],
    },
  },

  // The borders, from the inside out. A later entry replaces a rule's whole list, hence the repetition.
  { files: stages, ignores: tests, rules: imports(webImport, ...stageImports) },
  {
    files: ['streams/*.ts', 'schemas/**/*.ts', 'migrations/**/*.ts'],
    ignores: tests,
    rules: imports(webImport, layer('(connectors|ops)', outward)),
  },
  {
    files: ['streams/runtime/**/*.ts'],
    ignores: tests,
    rules: imports(
      webImport,
      layer('(connectors|ops)', outward),
      layer('[0-9]-[a-z]+', 'The runtime drives any stage.'),
    ),
  },
  {
    files: ['connectors/**/*.ts'],
    ignores: [...tests, 'connectors/web/**'],
    rules: imports(webImport, layer('ops', outward)),
  },
  {
    files: ['connectors/web/**/*.ts'],
    ignores: tests,
    rules: { ...imports(layer('ops', outward)), 'no-restricted-globals': 'off', ...properties(noEnvironment) },
  },
  { files: ['streams/runtime/pause-scheduler.ts'], rules: syntax(...noCommit) },
  { files: ['streams/runtime/commit.ts'], rules: syntax(...noPause) },
  // The one reader of the environment.
  { files: ['ops/config.ts'], rules: properties(noGlobalFetch) },
  // They talk to children of their own, on loopback.
  {
    files: ['ops/embedded/**/*.ts'],
    rules: { ...imports(), 'no-restricted-globals': 'off', ...properties(noEnvironment) },
  },
  { files: ['ops/**'], rules: { 'no-console': 'off' } },
  // The console's page runs in a browser and speaks to its own server. Markup is never made from text.
  {
    files: ['ops/console/page/**/*.js'],
    languageOptions: {
      globals: Object.fromEntries(
        [
          ...['document', 'fetch', 'sessionStorage', 'setTimeout', 'clearTimeout', 'AbortController'],
          ...['TextDecoderStream', 'URLSearchParams'],
        ].map((name) => [name, 'readonly']),
      ),
    },
    rules: {
      'no-restricted-globals': 'off',
      'no-restricted-syntax': [
        'error',
        noClass,
        {
          selector: 'MemberExpression[property.name=/^(innerHTML|outerHTML|insertAdjacentHTML|write|srcdoc)$/]',
          message: 'Text of strangers is set as textContent: see dom.js.',
        },
      ],
    },
  },
  {
    files: tests,
    rules: {
      'no-restricted-imports': 'off',
      'no-restricted-syntax': 'off',
      'no-restricted-globals': 'off',
      'no-restricted-properties': 'off',
      'no-console': 'off',
      // Fakes are cast; tap's matchers and promises carry any.
      '@typescript-eslint/no-unsafe-argument': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      // `void t.test(…)` and `t.test(…)` are both awaited by tap's root.
      '@typescript-eslint/no-floating-promises': [
        'error',
        { allowForKnownSafeCalls: [{ from: 'package', package: '@tapjs/test', name: 'test' }] },
      ],
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    extends: [tseslint.configs.disableTypeChecked],
    languageOptions: { globals: { process: 'readonly', console: 'readonly', URL: 'readonly' } },
  },
)
