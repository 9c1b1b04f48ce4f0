/** A headless Chromium for tests of the console: the one of this machine, never one that is downloaded. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser } from 'playwright-core'

const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome']

/** SLUICE_TEST_CHROMIUM, or what the PATH has; undefined: there is none. */
export function findChromium(): string | undefined {
  const named = process.env['SLUICE_TEST_CHROMIUM']
  const folders = (process.env['PATH'] ?? '').split(delimiter)
  return [...(named ? [named] : folders.flatMap((folder) => names.map((name) => join(folder, name))))].find(
    isExecutable,
  )
}

export const NO_CHROMIUM = 'no Chromium here: install one (apt-get install chromium) or name it in SLUICE_TEST_CHROMIUM'

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** As root, as in most containers of builds, Chromium refuses its sandbox; pages here are the project's own. */
export const startBrowser = (executablePath: string): Promise<Browser> =>
  chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] })
