/** Live progress per stage: bars on a terminal, a plain line a few times a second's worth of change elsewhere. */
export interface StageCount {
  readonly name: string
  readonly done: number
  /** Known so far; it grows while links are found. */
  readonly total: number
}

export interface Progress {
  readonly show: (stages: readonly StageCount[]) => void
  readonly end: () => void
}

interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

const BAR_WIDTH = 28
/** Plain lines, for logs and CI: no more than one in this time. */
const PLAIN_EVERY_MS = 2_000

// Own code: cli-progress has had no release since 2023, and this is 40 lines.
export function createProgress(out: Terminal = process.stderr, now: () => number = Date.now): Progress {
  return out.isTTY ? bars(out) : lines(out, now)
}

function bars(out: Terminal): Progress {
  let drawn = 0
  let last: readonly StageCount[] = []
  const draw = (stages: readonly StageCount[]) => {
    const up = drawn > 0 ? `\u001b[${drawn}A` : ''
    out.write(up + stages.map((stage) => `\u001b[2K  ${bar(stage)}\n`).join(''))
    drawn = stages.length
    last = stages
  }
  return { show: draw, end: () => draw(last) }
}

export function bar({ name, done, total }: StageCount): string {
  const share = total === 0 ? 0 : Math.min(1, done / total)
  const full = Math.round(share * BAR_WIDTH)
  return `${name.padEnd(10)} ${'█'.repeat(full)}${'░'.repeat(BAR_WIDTH - full)} ${String(done).padStart(4)} of ${total}`
}

function lines(out: Terminal, now: () => number): Progress {
  let told = ''
  let toldAtMs = -Infinity
  const text = (stages: readonly StageCount[]) =>
    `  ${stages.map(({ name, done, total }) => `${name} ${done} of ${total}`).join(' · ')}\n`
  let latest = ''
  const tell = () => {
    if (latest === told) return
    out.write(latest)
    told = latest
    toldAtMs = now()
  }
  return {
    show: (stages) => {
      latest = text(stages)
      if (now() - toldAtMs >= PLAIN_EVERY_MS) tell()
    },
    end: tell,
  }
}
