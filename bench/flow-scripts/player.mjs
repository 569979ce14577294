/**
 * Plays all scripts at once on one engine, in one life of the process: `node player.mjs ENGINE PLACE LEDGER LIFE`. The first life
 * is killed by the bench. The second answers the outcome of each script, from the storage of the engine and the ledger.
 */
import { play } from '../entities/turn.mjs'
import { Ledger } from './ledger.mjs'
import { scripts } from './scripts.mjs'

const [, , engineName, place, ledgerFile, lifeText] = process.argv
const life = Number(lifeText)
const ledger = new Ledger(ledgerFile)
const flowName = (number, body) => `s${number}-${body}`

/** A promise that is resolved from outside. */
const gate = () => {
  let open
  const opened = new Promise((resolve) => {
    open = resolve
  })
  return { open, opened }
}

/** The host of one script: it acts from outside, and is told where a body is. */
const hostOf = ({ number }, engine) => {
  const main = flowName(number, 'main')
  const id = `run-${number}`
  const [arrival, door] = [gate(), gate()]
  const notes = {}
  return {
    notes,
    arrived: arrival.open,
    opened: door.opened,
    open: door.open,
    reached: () => arrival.opened,
    start: (input = 1, options = {}) => engine.start(main, id, input, options),
    end: (of = id) => engine.end(main, of === id ? id : `${id}-${of}`),
    row: (of = id) => engine.row(main, of === id ? id : `${id}-${of}`),
    fork: (key, to, of = id) =>
      engine.fork(main, of === id ? id : `${id}-${of}`, key, `${id}-${to}`),
    update: (name, value, key) => engine.update(main, id, name, value, key),
    signal: (name, value, { to = id, id: key } = {}) => engine.signal(main, to, name, value, key),
    cancel: ({ to = id } = {}) => engine.cancel(main, to),
    cancelChild: (key) => engine.cancel(flowName(number, key), engine.childId(id, key)),
    childStatus: async (key) =>
      (await engine.row(flowName(number, key), engine.childId(id, key))).status,
    retry: () => engine.retry(main, id),
    progress: () => engine.progress(main, id),
    steps: () => engine.steps(main, id),
    note: (name, value) => {
      notes[name] = value
    },
    try: async (name, work) => {
      notes[name] = await Promise.resolve(work()).then(
        () => 'accepted',
        () => 'refused',
      )
    },
  }
}

/** The context of a body: that of the engine, with steps that are counted and places that the host waits for. */
const contextOf = (own, { number }, host) => {
  const crash = async () => {
    host.arrived()
    if (life === 1) await new Promise(() => undefined)
  }
  const counted = (key, work) => (tools) =>
    work(ledger.ran(number, key), {
      ...tools,
      crash,
      reached: host.arrived,
      opened: () => host.opened,
    })
  return {
    ...own,
    life,
    crash,
    reached: host.arrived,
    step: (key, work, options = {}) => {
      const undo = options.undo && counted(options.undo, () => undefined)
      return own.step(key, counted(key, work), { ...options, undo })
    },
    child: (key, body, input = 1) => own.child(key, flowName(number, body), input),
  }
}

const notBodies = new Set(['title', 'lives', 'differs', 'number'])

const bodies = []
const hosts = new Map()
for (const script of scripts)
  for (const [name, body] of Object.entries(script))
    if (!notBodies.has(name))
      bodies.push([
        flowName(script.number, name),
        (own, input) => body(contextOf(own, script, hosts.get(script)), input),
      ])

const engine = {}
for (const script of scripts) hosts.set(script, hostOf(script, engine))
Object.assign(engine, await (await import(`./${engineName}.mjs`)).open(place, bodies))

const titled = async ({ title }, work) => {
  try {
    return await work
  } catch (error) {
    throw new Error(`${title}: ${error.stack}`)
  }
}

const playLife = (script) => titled(script, script.lives[life - 1]?.(hosts.get(script)))

const outcomeOf = async (script) => ({
  ...(await titled(script, hosts.get(script).row())),
  steps: ledger.of(script.number),
})

play({
  /** Answers what the hosts of this life have noted. */
  life: async () => {
    await Promise.all(scripts.map(playLife))
    return scripts.map((script) => hosts.get(script).notes)
  },
  outcomes: () => Promise.all(scripts.map(outcomeOf)),
})
