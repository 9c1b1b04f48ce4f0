import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { freePort } from './ports.ts'

t.test('a free port is picked, and is free', async (t) => {
  const port = await freePort()
  t.equal(await freePort(port), port)
})

t.test('a taken port is refused by its number', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await t.rejects(freePort(port), { name: 'UserError', message: new RegExp(`port ${port} `) })
  server.close()
})
