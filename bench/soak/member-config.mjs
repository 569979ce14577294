/** The configuration of the members: the tree of the soak, and a desk that answers on a socket of the member's own. */
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { defineConfig, worker } from 'keelson'
import { sampler } from './sampler.mjs'
import { desk, soakTree } from './tree.mjs'

const { SOAK_SOCKETS, KEELSON_MEMBER: member = 'alone' } = process.env
const MiB = 2 ** 20

const server = {
  init: async (_, context) => {
    context.trapExit(true)
    const { app } = context
    const open = () => app.health().shards.filter(({ phase }) => phase === 'open').length
    const answers = { ...desk(app), sample: sampler(app), open }
    const answer = async ({ number, what, words }) => {
      try {
        return { number, value: await answers[what](words) }
      } catch (error) {
        return { number, code: error.code ?? String(error), message: error.message }
      }
    }
    const [underWay, sockets] = [new Set(), new Set()]
    const listening = createServer((socket) => {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => sockets.delete(socket))
      socket.write(`${JSON.stringify({ pid: process.pid })}\n`)
      const lines = createInterface({ input: socket })
      lines.on('error', () => undefined)
      lines.on('line', (line) => {
        const answered = answer(JSON.parse(line)).then((found) => {
          underWay.delete(answered)
          socket.write(`${JSON.stringify(found)}\n`)
        })
        underWay.add(answered)
      })
    })
    const path = join(SOAK_SOCKETS, `${member}.sock`)
    rmSync(path, { force: true })
    await new Promise((resolve) => listening.listen({ path, exclusive: true }, resolve))
    return { listening, underWay, sockets }
  },
  terminate: async ({ listening, underWay, sockets }) => {
    listening.close()
    for (const socket of sockets) socket.pause()
    await Promise.all(underWay)
    for (const socket of sockets) socket.end()
  },
}

export default defineConfig({
  dir: './data',
  shards: 4,
  members: { intensity: 1_000_000 },
  app: soakTree([worker('desk', server)]),
  // Nobody saves states here: they would hold the log.
  journal: { retention: 'readers' },
  wal: { maxFileSize: MiB },
  blobs: { segmentBytes: 4 * MiB, graceMs: 20_000, sweepMs: 10_000 },
  snapshot: { minLogBytes: 4 * MiB, keep: 2 },
})
