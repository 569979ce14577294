/** Connections to a server that says nothing: it is frozen, or the network swallows what it says. */
import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { EngineLane } from '../../../src/adapters/postgres/engine-lane.ts'
import { connectPg } from '../../../src/adapters/postgres/pg-database.ts'
import { postgres } from '../../../src/adapters/postgres/postgres.ts'
import { systemClock } from '../../../src/clock.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** AuthenticationOk and ReadyForQuery of PostgreSQL's protocol. */
const welcome = Buffer.from('R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I')
/** ErrorResponse, as for a parameter that a server does not know, and ReadyForQuery. */
const refusal = Buffer.from('E\0\0\0\x17SERROR\0C42704\0Mno\0\0Z\0\0\0\x05I')

/**
 * A server that greets, or not even that, gives its first statement `answer`, and says nothing else. `gone`: its connection
 * has ended.
 */
const silent = async (greeting = welcome, allowHalfOpen = false, answer?: Buffer) => {
  const host = tempFolder()
  let accept: (socket: Socket) => void = () => undefined
  const accepted = new Promise<Socket>((resolve) => {
    accept = resolve
  })
  let connections = 0
  const server = createServer({ allowHalfOpen }, (socket) => {
    connections++
    accept(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => {
      socket.write(greeting)
      if (answer) socket.once('data', () => socket.write(answer))
    })
  })
  server.listen(join(host, '.s.PGSQL.5432'))
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  const gone = accepted.then(
    (socket) => new Promise((resolve) => socket.resume().once('close', resolve)),
  )
  return { config: { host, user: 'any' }, accepted, gone, connections: () => connections }
}

test('that does not answer a statement is given up, and the connection is cut', async () => {
  const { config, gone } = await silent()
  const database = await connectPg(config, { answerMs: 200 })

  await expect(database.query('select 1')).rejects.toThrow('did not answer in 200 ms')

  await gone
  await database.close()
})

test('that answers in pieces over a slow link is waited for', async () => {
  const { config, accepted } = await silent()
  const clock = systemClock()
  const database = await connectPg(config, { answerMs: 400 })
  const socket = await accepted
  socket.on('data', async () => {
    // The end of an answer without rows, a quarter of it at a time.
    const end = Buffer.from('1\0\0\0\x042\0\0\0\x04C\0\0\0\x0dSELECT 0\0Z\0\0\0\x05I')
    for (let at = 0; at < end.length; at += 8) {
      await new Promise<void>((resolve) => clock.after(250, resolve))
      socket.write(end.subarray(at, at + 8))
    }
  })

  expect(await database.query('select 1', [])).toEqual([])

  await database.close()
})

test('is given up by a member within its lease', async () => {
  const { config, gone } = await silent()
  const lane = new EngineLane({ config, copies: 1, leaseMs: 300 })

  const asked = lane.run((database) => database.query('select 1'))

  await expect(asked).rejects.toThrow('did not answer in 300 ms')
  await gone
  await lane.close()
})

test('that takes no rows of a COPY is given up', async () => {
  const { config, gone } = await silent()
  const database = await connectPg(config, { answerMs: 200 })

  await expect(database.copy('frames', ['lsn'], [Uint8Array.of(1)])).rejects.toThrow(/.+/)

  await gone
  await database.close()
})

test('that refuses a setting of a replica is left: a retry makes a connection of its own', async () => {
  const { config, gone } = await silent(welcome, false, refusal)

  await expect(postgres({ client: config }).open()).rejects.toMatchObject({ code: '42704' })

  await gone
})

test('that does not greet is given up', async () => {
  const { config, gone } = await silent(Buffer.alloc(0))

  await expect(connectPg(config, { answerMs: 200 })).rejects.toThrow('did not answer in 200 ms')

  await gone
})

test('is asked once for all work that waits meanwhile, and again for later work', async () => {
  const { config, connections } = await silent(Buffer.alloc(0))
  const lane = new EngineLane({ config, copies: 1, leaseMs: 200 })
  const codes = async (count: number): Promise<unknown[]> => {
    const asked = Array.from({ length: count }, () => lane.run(async () => 'done'))
    return Promise.all(asked.map((each) => each.catch(({ code }) => code)))
  }

  expect(await codes(3)).toEqual(Array(3).fill('UNKNOWN_OUTCOME'))
  expect(connections()).toBe(1)
  expect(await codes(2)).toEqual(Array(2).fill('UNKNOWN_OUTCOME'))
  expect(connections()).toBe(2)
  await lane.close()
})

test('is left by a user who ends while it connects', async () => {
  const { config, accepted, gone } = await silent(Buffer.alloc(0))
  const user = new AbortController()
  const connecting = connectPg(config, { signal: user.signal })
  await accepted

  user.abort()

  await expect(connecting).rejects.toThrow('its user has ended')
  await gone
  await expect(connectPg(config, { signal: user.signal })).rejects.toThrow('aborted')
})

test('is left by a user who ends while a statement waits', async () => {
  const { config, gone } = await silent()
  const user = new AbortController()
  const database = await connectPg(config, { signal: user.signal })
  const asking = database.query('select 1')

  user.abort()

  await expect(asking).rejects.toThrow('its user has ended')
  await gone
})

test('is left although it does not say goodbye', async () => {
  // A server that would leave its side of the connection open.
  const { config, accepted } = await silent(welcome, true)
  const database = await connectPg(config)
  const socket = await accepted
  socket.pause()
  onTestFinished(() => void socket.destroy())
  // Without a bound this waits for ever.
  await database.close()
  await expect(database.query('select 1')).rejects.toThrow(/.+/)
  // Nobody reads at the other end.
  const refused = once(socket, 'error')
  socket.write('goodbye')
  expect(await refused).toMatchObject([{ code: 'EPIPE' }])
})
