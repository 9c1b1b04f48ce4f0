/** Requests to this console's own server, with the token if there is one. */

const TOKEN = 'sluice.token'

export const token = {
  get: () => sessionStorage.getItem(TOKEN),
  /** For this tab, until it is closed. */
  set: (value) => sessionStorage.setItem(TOKEN, value),
  forget: () => sessionStorage.removeItem(TOKEN),
}

export const headers = () => (token.get() === null ? {} : { authorization: `Bearer ${token.get()}` })

/** @throws Error with `hint`: what the server said is wrong, and what to do. */
export async function ask(path) {
  return answerOf(await fetch(path, { headers: headers() }))
}

export async function act(path, body) {
  const type = { 'content-type': 'application/json' }
  return answerOf(await fetch(path, { method: 'POST', headers: { ...headers(), ...type }, body: JSON.stringify(body) }))
}

async function answerOf(response) {
  const answer = await response.json().catch(() => ({}))
  if (response.ok) return answer
  throw Object.assign(new Error(answer.error ?? `the server answered ${response.status}`), { hint: answer.hint ?? '' })
}
