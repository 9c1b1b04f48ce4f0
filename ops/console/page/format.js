/** Numbers with their units, as a tired person reads them. */

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const one = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })

export const count = (value) => (value === null || value === undefined ? '–' : whole.format(value))
/** Small numbers need their fraction, large ones hide it. */
export const amount = (value) =>
  value === null || value === undefined ? '–' : (Math.abs(value) < 100 ? one : whole).format(value)
export const rate = (perSecond) => `${perSecond > 0 && perSecond < 0.05 ? '<0.1' : amount(perSecond)}/s`

/** At most two units: 4 s, 3 min 20 s, 2 h 5 min, 3 d 4 h. */
export function duration(ms) {
  if (ms === null || ms === undefined || !Number.isFinite(ms)) return '–'
  const seconds = Math.max(0, Math.round(ms / 1000))
  if (seconds < 60) return `${seconds} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return joined(minutes, 'min', seconds % 60, 's')
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return joined(hours, 'h', minutes % 60, 'min')
  return joined(Math.floor(hours / 24), 'd', hours % 24, 'h')
}
const joined = (large, unit, small, smaller) =>
  small === 0 ? `${large} ${unit}` : `${large} ${unit} ${small} ${smaller}`

/** The server's clock counts: an operator's laptop may be minutes off. */
let skewMs = 0
export const setServerTime = (nowMs) => (skewMs = nowMs - Date.now())
export const serverNow = () => Date.now() + skewMs
export const ago = (ms) => (ms === null || ms === undefined || ms === 0 ? '–' : `${duration(serverNow() - ms)} ago`)

export const plural = (number, singular, several = `${singular}s`) =>
  `${count(number)} ${number === 1 ? singular : several}`
