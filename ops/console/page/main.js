/** Starts the console: events come in, change the model, and the parts that show it are brought up to date. */
import { token } from './api.js'
import { createAttention } from './attention.js'
import { createCrawls } from './crawls.js'
import { createDeadLetters } from './dead-letters.js'
import { askFor } from './dialog.js'
import { announce, setText } from './dom.js'
import { createFlow } from './flow.js'
import { setServerTime } from './format.js'
import { createLag } from './lag.js'
import { setLimitOptions } from './limits.js'
import { createReplays } from './replays.js'
import { follow } from './stream.js'
import { createStrips } from './strips.js'
import { createTenants } from './tenants.js'
import { createThrottle } from './throttle.js'

const SAMPLES = 180
const at = (id) => document.getElementById(id)
const model = { connection: 'connecting', topology: [], history: [] }

const attention = createAttention(at('attention'), at('summary'), model)
const parts = {
  flow: createFlow(at('flow'), model),
  strips: createStrips(at('charts'), model),
  throttle: createThrottle(at('throttle'), model),
  lag: createLag(at('lag'), model),
  tenants: createTenants(at('tenants'), model),
  crawls: createCrawls(at('crawls'), model),
  deadLetters: createDeadLetters(at('dead-letters'), model),
  replays: createReplays(at('replays'), model),
}

/** What each event changes, and which parts show it. */
const events = {
  hello: (data) => {
    model.topology = data.topology
    model.history = data.history
    setLimitOptions(data.limits)
    for (const [id, there] of [
      ['dead-letters', data.deadLetters],
      ['replays', data.replays],
    ])
      at(id).hidden = at(`nav-${id}`).hidden = !there
    return ['flow', 'strips', 'throttle']
  },
  figures: (data) => {
    if (data.error) return []
    setServerTime(data.nowMs)
    model.figures = data
    return ['flow', 'throttle', 'tenants', 'deadLetters']
  },
  sample: (data) => {
    model.history = [...model.history.slice(1 - SAMPLES), data]
    return ['strips']
  },
  lag: (data) => keep('lag', data, ['flow', 'lag']),
  tenants: (data) => keep('tenants', data, ['tenants']),
  crawls: (data) => keep('crawls', data, ['crawls']),
  'dead-letters': (data) => keep('deadLetters', data, ['flow', 'deadLetters']),
  replays: (data) => keep('replays', data, ['replays']),
}

/** A part that cannot be read now keeps its last figures, beside the reason. */
function keep(name, data, shownBy) {
  model[name] = data.error ? { ...model[name], error: data.error } : data
  return shownBy
}

function onEvent(name, data) {
  for (const part of events[name]?.(data) ?? []) parts[part]()
  attention()
}

const states = { live: 'live', lost: 'connection lost, trying again', resting: 'resting while hidden' }
function onState(state) {
  const before = model.connection
  model.connection = state
  const node = at('connection')
  setText(node, states[state])
  node.className = `connection ${state}`
  document.body.classList.toggle('stale', state === 'lost')
  if (state === 'lost' && before === 'live') announce('Connection lost: the figures are old')
  if (state === 'live' && before === 'lost') announce('Connected again')
  attention()
}

/** Resolves once somebody has given one; whether it is right shows at the next request. */
function onToken() {
  const wasWrong = token.get() !== null
  token.forget()
  return new Promise((resolve) => {
    const dialog = askFor({
      title: 'Sign in',
      text: [
        wasWrong
          ? 'That token was not right.'
          : 'This console needs its token (ADMIN_TOKEN). It is kept until this tab is closed.',
      ],
      fields: [{ name: 'token', label: 'Token', type: 'password', required: true }],
      action: 'Sign in',
      submit: async (values) => token.set(values.token),
    })
    dialog.addEventListener('close', resolve)
  })
}

void follow('events', { event: onEvent, state: onState, token: onToken })
