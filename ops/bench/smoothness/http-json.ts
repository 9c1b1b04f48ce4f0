/** Talks to the receivers' control ports and to the instances' admin ports, on loopback. */
import { request } from 'node:http'
import { json as readJson } from 'node:stream/consumers'

export const getJson = <T>(url: string): Promise<T> => ask<T>('GET', url)
export const postJson = (url: string, body: object): Promise<object> => ask('POST', url, body)

/** @throws when nobody answers, or with a status that is not 2xx. */
function ask<T>(method: string, url: string, body?: object): Promise<T> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers: { 'content-type': 'application/json' } }, (response) => {
      readJson(response).then((value) => {
        if ((response.statusCode ?? 500) < 300) resolve(value as T)
        else reject(new Error(`${method} ${url}: ${response.statusCode} ${JSON.stringify(value)}`))
      }, reject)
    })
    sent.on('error', reject)
    sent.end(body && JSON.stringify(body))
  })
}
