/**
 * One member, or an instance with a log of its own. It begins to start when it is told to: the start of a standby is over only when
 * the owner has gone. What it was answered is read back by `verify`.
 */
import { openSync, writeSync } from 'node:fs'
import { call, entity, ok, reply, start, supervisor } from 'keelson'
import { postgresEngine } from 'keelson/postgres'
import { byWriters, play } from '../entities/turn.mjs'

const [dir, text] = process.argv.slice(2)
/** `socket`: that of the engine; without one the log is in files. `noted`: the file of the last acknowledgement. */
const {
  socket,
  copies = 1,
  name = 'bench',
  member = 'a',
  leaseMs = 5_000,
  noted,
} = JSON.parse(text)

const pad = 'x'.repeat(64)
const counters = entity('counter', {
  init: () => ok({ count: 0, pad }),
  calls: {
    add: (state, by) => reply(state.count + by, { ...state, count: state.count + by }),
  },
})

const client = { host: socket, user: 'bench', database: 'postgres' }
const cluster = socket && { name, member, copies, leaseMs, engine: postgresEngine({ client }) }

let app
let opened
let refs

/** Resolves when the start is over, or waits for the owner. */
const begin = () =>
  new Promise((resolve, reject) => {
    const began = performance.now()
    opened = start({
      dir,
      app: supervisor('app', {}, [counters]),
      ...(cluster && { cluster }),
      onProgress: ({ step }) => step === 'standby' && resolve('standby'),
    }).then((started) => {
      app = started
      const handle = app.entity(counters)
      refs = Array.from({ length: 1_024 }, (_, index) => handle.ref(`${index}`))
      return performance.now() - began
    })
    opened.then(() => resolve('open'), reject)
  })

const added = new Map()
const works = {
  put: (writer) => app.store.put(`counter:${writer}`, { count: 1, pad }),
  call: async (writer) => {
    await call(refs[writer], 'add', 1)
    added.set(writer, (added.get(writer) ?? 0) + 1)
  },
}

/** One put after another until the process is killed. The file has the last answered number, and when that was. */
const load = ({ from }) => {
  const file = openSync(noted, 'w')
  const note = new BigUint64Array(2)
  const run = async () => {
    for (let number = from; ; number++) {
      await app.store.put('number', number)
      note[0] = BigInt(number)
      // The clock that all processes of a machine share.
      note[1] = process.hrtime.bigint()
      writeSync(file, note, 0, 16, 0)
    }
  }
  void run()
}

/** Resolves with the number that was found and the time of the first acknowledgement, when the member owns the instance. */
const takeOver = async () => {
  await opened
  const found = app.store.get('number')
  await app.store.put('first', found)
  return { found, at: `${process.hrtime.bigint()}` }
}

const rowBytes = 10_000
const perCall = 100
const keyOf = (number) => `row:${1e10 + number}`
const valueAt = (number) => {
  const value = Buffer.alloc(rowBytes, 7)
  value.writeUInt32LE(number)
  return value
}

/** Puts rows from one number to another. With `snapshot`, the rows are in one afterwards. */
const fill = async ({ from, to, snapshot }) => {
  let next = from
  const writer = async () => {
    while (next < to) {
      const entries = []
      for (const end = Math.min(to, next + perCall); next < end; next++)
        entries.push([keyOf(next), valueAt(next)])
      await app.store.putMany(entries)
    }
  }
  await Promise.all(Array.from({ length: 8 }, writer))
  await app.control.flushAll()
  if (snapshot) await app.control.snapshotAll({ timeoutMs: 300_000 })
}

const verifyRows = async ({ rows }) => {
  let found = 0
  for await (const [key] of app.store.entries({ prefix: 'row:', values: false })) {
    if (key !== keyOf(found)) throw new Error(`${keyOf(found)} is not there`)
    if (found % 1_000 === 0 && app.store.get(key).readUInt32LE(0) !== found)
      throw new Error(`${key} has another value`)
    found++
  }
  if (found !== rows) throw new Error(`${found} rows, not ${rows}`)
}

play({
  begin,
  opened: () => opened,
  turn: ({ work, inFlight, seconds }) => byWriters(inFlight, seconds, works[work]),
  load,
  takeOver,
  fill,
  verify: () => {
    for (const [id, count] of added)
      if (app.entity(counters).state(`${id}`).count !== count)
        throw new Error(`counter/${id} lost a turn`)
    return added.size
  },
  verifyRows,
  close: () => app.close(),
})
