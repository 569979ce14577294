// `start` for a program that is run as three members of one folder. A read that answers at once, of a shard that another member
// has, is answered from there: the docs tell a caller to use another read, and nothing else of the program changes.
import { openSync, readSync, writeSync } from 'node:fs'
import { Socket } from 'node:net'
import { resolve } from 'node:path'
import { deserialize, serialize } from 'node:v8'
import { flow as flowHere } from '../../../../dist/flow/index.js'
import { folderEngine, start as startHere } from '../../../../dist/index.js'

const members = ['a', 'b', 'c']
/** The member that the program is. It owns shards 0 and 2, `a` owns shard 1, and `b` owns none. */
const first = 'c'
const shards = 3

/** What `start` does in this process. */
let begin

export const start = (options) => begin(options)
export const flow = (app) => places.get(app)?.flow ?? flowHere(app)

const places = new WeakMap()

/** Closes what the program has begun and not closed. */
let last

/** Ends what a program has left open that has thrown. */
export const endLast = () => last?.().catch(() => undefined)

/** The options that can be sent: the others make their tree themselves. */
const plain = (options) =>
  Object.fromEntries(
    Object.entries(options).filter(([, value]) => {
      try {
        return serialize(value)
      } catch {
        return false
      }
    }),
  )

const optionsOf = (options, member) => ({
  ...options,
  shards,
  cluster: { name: 'programs', member, engine: folderEngine({ members }) },
})

/** What can be reached at an app by a path of names and of calls with one argument. */
const reached = (app, [room, name]) => {
  if (room === 'flow') return flowHere(app)
  if (room === 'schedules') return flowHere(app).schedules
  return name === undefined ? app[room] : app[room](name)
}

/** An answer that can be sent: what is read one by one is an array. */
const whole = (value) =>
  typeof value === 'object' && value !== null && typeof value.next === 'function'
    ? [...value]
    : value

const framed = (value) => {
  const bytes = serialize(value)
  const frame = Buffer.alloc(4 + bytes.length)
  frame.writeUInt32LE(bytes.length)
  bytes.copy(frame, 4)
  return frame
}

/** Makes this process the one whose program is looked at. `others`: the processes of the other members. */
export const becomeFirst = (others) => {
  for (const other of others) {
    other.ask = openSync(other.questions, 'r+')
    other.hear = openSync(other.answers, 'r+')
  }
  const read = (fd, length) => {
    const bytes = Buffer.alloc(length)
    for (let at = 0; at < length; ) at += readSync(fd, bytes, at, length - at)
    return bytes
  }
  /** The answer of the member that has it; throws what this one said if none has. */
  const elsewhere = (path, key, given, error) => {
    for (const { ask, hear } of others) {
      writeSync(ask, framed({ path, key, given }))
      const answer = deserialize(read(hear, read(hear, 4).readUInt32LE()))
      if (answer.refused === undefined) return answer.value
      if (answer.refused !== 'ELSEWHERE') throw Object.assign(error, answer.error)
    }
    throw error
  }
  const readingAt = (at, path) =>
    new Proxy(at, {
      get: (_, key) => {
        if (key === 'schedules') return readingAt(at.schedules, ['schedules'])
        const found = Reflect.get(at, key, at)
        if (typeof found !== 'function') return found
        return (...given) => {
          try {
            return Reflect.apply(found, at, given)
          } catch (error) {
            if (error?.code !== 'ELSEWHERE') throw error
            return elsewhere(path, key, given, error)
          }
        }
      },
    })
  const told = (child, message, answer) =>
    new Promise((done, refuse) => {
      const heard = (said) => {
        if (said[answer] === undefined && said.refused === undefined) return
        child.off('message', heard)
        child.channel.unref()
        if (said.refused === undefined) done()
        else refuse(new Error(`another member: ${said.refused}`))
      }
      child.channel.ref()
      child.on('message', heard)
      child.send(message)
    })
  const each = (message, answer) =>
    Promise.all(others.map(({ child }) => told(child, message, answer)))

  begin = async (options = {}) => {
    const dir = resolve(options.dir ?? '.')
    const here = startHere(others.length > 0 ? optionsOf(options, first) : { ...options, shards })
    last = async () => {
      const app = await here
      await Promise.all([app.close(), each({ close: true }, 'closed').catch(() => undefined)])
    }
    const [app] = await Promise.all([here, each({ start: { ...plain(options), dir } }, 'begun')])
    while (app.health().shards.some(({ phase, member }) => phase !== 'open' && !member))
      await new Promise((soon) => setTimeout(soon, 20))
    const { store, entity, projection, close } = app
    last = () => app.close()
    Object.defineProperty(app, 'store', { value: readingAt(store, ['store']) })
    app.entity = (kind) =>
      readingAt(entity.call(app, kind), ['entity', typeof kind === 'string' ? kind : kind.id])
    app.projection = (name) => readingAt(projection.call(app, name), ['projection', name])
    places.set(app, { flow: readingAt(flowHere(app), ['flow']) })
    app.close = async (given) => {
      last = undefined
      const [report] = await Promise.all([close.call(app, given), each({ close: true }, 'closed')])
      return report
    }
    return app
  }
}

/** Makes this process the member `member`, for the programs that another process runs. */
export const becomeOther = ({ member, questions, answers, load }) => {
  let app
  const hear = new Socket({ fd: openSync(questions, 'r+'), readable: true, writable: false })
  const tell = openSync(answers, 'r+')
  let heard = Buffer.alloc(0)
  const answerTo = ({ path, key, given }) => {
    try {
      return framed({ value: whole(reached(app, path)[key](...given)) })
    } catch (error) {
      const { code, message, details } = error
      return framed({ refused: code ?? 'a throw', error: { code, message, details } })
    }
  }
  hear.on('data', (bytes) => {
    heard = Buffer.concat([heard, bytes])
    while (heard.length >= 4 && heard.length >= 4 + heard.readUInt32LE()) {
      const end = 4 + heard.readUInt32LE()
      writeSync(tell, answerTo(deserialize(heard.subarray(4, end))))
      heard = heard.subarray(end)
    }
  })
  /** What the program gave its first `start`; it goes no further here. */
  let given = resolvers()
  const messages = {
    file: (file) => {
      given = resolvers()
      load(file).then(() => given.reject(new Error('the program starts nothing')), given.reject)
    },
    start: async (options) => {
      app = await startHere(optionsOf({ ...(await given.promise), ...options }, member))
      process.send({ begun: true })
    },
    close: async () => {
      await app?.close()
      app = undefined
      process.send({ closed: true })
    },
  }
  begin = (options) => {
    given.resolve(options)
    return new Promise(() => undefined)
  }
  process.on('message', async (message) => {
    try {
      for (const [what, word] of Object.entries(message)) await messages[what](word)
    } catch (error) {
      process.send({ refused: String(error) })
    }
  })
}

const resolvers = () => {
  const made = {}
  made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }))
  made.promise.catch(() => undefined)
  return made
}
