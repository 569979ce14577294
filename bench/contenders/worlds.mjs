/**
 * A program full of actors that never rest, with a timer and an HTTP server beside them. The argument names the world. It
 * says its port, and when it is asked, how late its timer was and how much the actors did.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import {
  call,
  cast,
  createSystem,
  noReply,
  reply,
  startSupervisor,
  supervisor,
  worker,
} from 'keelson'

const logger = { error() {}, warn() {}, info() {} }
const system = createSystem({ logger })
let handled = 0

const player = {
  init: () => null,
  casts: {
    ball: (state, back, { self }) => {
      handled++
      cast(back, 'ball', self)
      return noReply(state)
    },
  },
}

const pairs = async (count, balls) => {
  for (let pair = 0; pair < count; pair++) {
    const [left, right] = [await system.start(player), await system.start(player)]
    for (let ball = 0; ball < balls; ball++) cast(left, 'ball', right)
  }
}

const selfSender = {
  init: () => null,
  casts: {
    again: (state, _, { self }) => {
      handled++
      cast(self, 'again')
      return noReply(state)
    },
  },
}

const crashing = {
  init: (_, { self }) => {
    handled++
    cast(self, 'fail')
    return null
  },
  casts: {
    fail: () => {
      throw new Error('a bug')
    },
  },
}

const answering = {
  init: () => 0,
  calls: { next: (state, number) => reply(number + 1, state) },
}

/** Works for a millisecond, as no handler should. */
const slow = {
  init: () => null,
  casts: {
    again: (state, _, { self }) => {
      handled++
      for (const end = performance.now() + 1; performance.now() < end; );
      cast(self, 'again')
      return noReply(state)
    },
  },
}

/** Quick for long enough to be taken for quick; then it is not. */
const bursting = {
  init: () => null,
  casts: {
    quick: (state) => {
      handled++
      return noReply(state)
    },
    slow: (state) => {
      handled++
      for (const end = performance.now() + 2; performance.now() < end; );
      return noReply(state)
    },
    again: (state, _, { self }) => {
      for (let each = 0; each < 1_000; each++) cast(self, 'quick')
      for (let each = 0; each < 64; each++) cast(self, 'slow')
      cast(self, 'again')
      return noReply(state)
    },
  },
}

const worlds = {
  calm: async () => {},
  flood: () => pairs(1, 1_000),
  'ping-pong': () => pairs(500, 1),
  'self-senders': async () => {
    for (let index = 0; index < 1_000; index++) cast(await system.start(selfSender), 'again')
  },
  slow: async () => {
    for (let index = 0; index < 100; index++) cast(await system.start(slow), 'again')
  },
  bursts: async () => void cast(await system.start(bursting), 'again'),
  callers: async () => {
    const ref = await system.start(answering)
    const caller = async () => {
      for (;;) {
        await call(ref, 'next', handled)
        handled++
      }
    }
    for (let index = 0; index < 64; index++) void caller()
  },
  storm: async () => {
    const limits = { strategy: 'one_for_one', intensity: 1_000_000_000, periodMs: 1 }
    const children = Array.from({ length: 100 }, (_, index) => worker(`child${index}`, crashing))
    await startSupervisor(system, supervisor('top', limits, children))
  },
}

const server = createServer((_, response) => response.end('ok')).listen(0, '127.0.0.1')
await once(server, 'listening')
await worlds[process.argv[2]]()

const gaps = []
let last = performance.now()
setInterval(() => {
  const now = performance.now()
  gaps.push(now - last)
  last = now
}, 10)

const began = { at: performance.now(), handled }
process.on('message', () => {
  const seconds = (performance.now() - began.at) / 1_000
  process.send({ gaps, rate: (handled - began.handled) / seconds })
})
process.on('disconnect', () => process.exit())
process.send({ port: server.address().port })
