/** Live progress per stage: bars on a terminal; elsewhere a plain line every two seconds, if something has changed. */
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
const LEAST_BAR_WIDTH = 8
const INDENT = 2
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
    out.write(up + stages.map((stage) => `\u001b[2K  ${bar(stage, out.columns)}\n`).join(''))
    drawn = stages.length
    last = stages
  }
  // What is drawn last stays; nothing to end when nothing was shown.
  return { show: draw, end: () => void (drawn > 0 && draw(last)) }
}

/** A line that wraps would be two, and the next drawing would leave its first half behind: the bar gives way. */
export function bar({ name, done, total }: StageCount, columns = 80): string {
  const label = name.padEnd(10)
  const count = `${String(done).padStart(4)} of ${total}`
  const width = Math.min(BAR_WIDTH, columns - INDENT - label.length - count.length - 3)
  if (width < LEAST_BAR_WIDTH) return `${label} ${count}`.slice(0, Math.max(1, columns - INDENT - 1))
  const share = total === 0 ? 0 : Math.min(1, done / total)
  const full = Math.round(share * width)
  return `${label} ${'█'.repeat(full)}${'░'.repeat(width - full)} ${count}`
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
