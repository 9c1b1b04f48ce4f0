#!/usr/bin/env node
// Plain JavaScript, so that a Node too old for TypeScript can still say so: the project brings its own Node 24 (npm
// package `node`), which npm scripts and npx put first on the PATH; a direct call under an older one is handed over.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import * as nodeModule from 'node:module'
import { fileURLToPath } from 'node:url'

if (Number(process.versions.node.split('.')[0]) >= 24) {
  // Half of a start is compiling. Beside the packages, not in a temporary folder that others may write to; where it
  // cannot be written, there is no cache.
  nodeModule.enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/sluice', import.meta.url)))
  await import('../cli.ts')
} else {
  const own = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url))
  if (!existsSync(own)) {
    console.error(
      `sluice needs Node 24 or newer, this is ${process.version}. \`npm ci\` brings one; or install Node 24.`,
    )
    process.exit(1)
  }
  const child = spawn(own, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)))
}
