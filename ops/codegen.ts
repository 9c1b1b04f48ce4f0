/**
 * TypeScript types from the Avro schemas: `npm run generate` writes them, `--check` fails when they are out of date.
 * Own code, 60 lines: the generators on npm (avro-typescript, @ovotech/avro-ts) have had no release for years and map
 * `long` to number, which loses versions above 2^53.
 */
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

type AvroType =
  | string
  | { type: 'record'; name: string; doc?: string; fields: AvroField[] }
  | { type: 'enum'; name: string; symbols: string[] }
  | { type: 'array'; items: AvroType }
  | { type: string; logicalType?: string }
interface AvroField {
  name: string
  doc?: string
  type: AvroType
  default?: unknown
}

const schemasDir = join(import.meta.dirname, '..', 'schemas')
const target = join(schemasDir, 'generated', 'types.ts')
const primitives: Record<string, string> = {
  string: 'string',
  bytes: 'Buffer',
  int: 'number',
  long: 'bigint',
  float: 'number',
  double: 'number',
  boolean: 'boolean',
  null: 'null',
}

function typeName(type: AvroType, declared: Map<string, string>): string {
  if (typeof type === 'string') return primitives[type] ?? type
  if ('fields' in type) {
    declare(type.name, declared, () => record(type, declared))
    return type.name
  }
  if ('symbols' in type) {
    declare(type.name, declared, () => `export type ${type.name} = ${type.symbols.map((s) => `'${s}'`).join(' | ')}\n`)
    return type.name
  }
  if ('items' in type) return `${typeName(type.items, declared)}[]`
  return typeName(type.type, declared)
}

function declare(name: string, declared: Map<string, string>, text: () => string) {
  if (!declared.has(name)) declared.set(name, text())
}

function record(type: { name: string; doc?: string; fields: AvroField[] }, declared: Map<string, string>): string {
  const fields = type.fields.map((field) => {
    const optional = field.default === undefined ? '' : `\n   * Default: \`${JSON.stringify(field.default)}\`.`
    return `  /**\n   * ${field.doc ?? ''}${optional}\n   */\n  ${field.name}: ${typeName(field.type, declared)}\n`
  })
  return `/** ${type.doc ?? ''} */\nexport interface ${type.name} {\n${fields.join('')}}\n`
}

export function generate(): string {
  const declared = new Map<string, string>()
  const files = readdirSync(schemasDir).filter((file) => file.endsWith('.avsc'))
  for (const file of files.sort()) {
    typeName(JSON.parse(readFileSync(join(schemasDir, file), 'utf8')) as AvroType, declared)
  }
  return `// Generated from schemas/*.avsc by \`npm run generate\`; do not edit.\n\n${[...declared.values()].join('\n')}`
}

export const isUpToDate = () => readFileSync(target, 'utf8') === generate()

if (import.meta.main) {
  if (!process.argv.includes('--check')) writeFileSync(target, generate())
  else if (!isUpToDate()) {
    console.error('schemas/generated/types.ts is out of date: run `npm run generate` and commit the result')
    process.exitCode = 1
  }
}
