/** The offline embeddings server as a container of its own: `node embeddings.ts PORT`, until SIGTERM. */
import { startEmbeddingsServer } from '../embedded/embeddings-server.ts'

// Every address of the container: the stages are in others. Nothing publishes it.
const server = await startEmbeddingsServer({ port: Number(process.argv[2]), host: '0.0.0.0' })
console.log(JSON.stringify({ port: server.port }))
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => void server.close().then(() => process.exit(0)))
