/**
 * A random life, from one seed, of entities and runs that write streams, over several kills and power cuts.
 * The state of an entity lists the messages of its turns, and its stream must have the same. The messages of a run
 * follow from its plan. Entities end, and runs are forked and removed, with their streams. Readers stop and resume from the
 * offsets that they have kept.
 */
import { seededRandom } from '../../../src/clock.ts'
import { type Ctx, flow, flows, workflow } from '../../../src/flow/index.ts'
import {
  type App,
  call,
  type DurableServer,
  entity,
  ok,
  reply,
  type StreamSource,
  supervisor,
} from '../../../src/index.ts'
import { machine } from '../worlds/simulated-instance.ts'
import type { Tally } from './seed-lives.ts'

/** A piece of a body: it says something itself, or by a step that fails so often. */
type Piece = {
  readonly says: readonly string[]
  readonly step: 'none' | 'same' | 'continue'
  readonly failures: number
}

type Plan = { readonly laps: readonly (readonly Piece[])[] }

type Said = readonly string[]

const server: DurableServer<
  {
    calls: {
      say: (texts: readonly string[]) => void
      refused: (text: string) => void
      end: (keepMs: number) => void
    }
  },
  Said
> = {
  init: () => ok([]),
  calls: {
    say: (said, texts, context) => {
      for (const text of texts) context.stream('events').append(text)
      return reply(undefined, [...said, ...texts])
    },
    refused: (said, text, context) => {
      context.stream('events').append(text)
      context.stream('events').close()
      context.stream('events').append('late')
      return reply(undefined, [...said, text, 'late'])
    },
    end: (said, keepMs, context) => {
      context.stream('events').append('the end')
      context.end({ keepMs })
      return reply(undefined, [...said, 'the end'])
    },
  },
}

const chat = entity('chat', server, { idleMs: 500 })

const talk = async (ctx: Ctx, { laps }: Plan): Promise<void> => {
  const [pieces = [], ...later] = laps
  for (const [at, piece] of pieces.entries()) {
    const { says, step, failures } = piece
    if (step === 'none') {
      for (const text of says) ctx.stream('out').append(text)
      await ctx.step(keyOf(piece, at), () => at)
      continue
    }
    await ctx.step(
      keyOf(piece, at),
      async ({ stream, attempt }) => {
        const out = await stream<string>('out', { retry: step })
        const left = step === 'continue' ? says.slice((await out.sent()).length) : says
        const fails = attempt <= failures
        for (const text of fails ? left.slice(0, attempt) : left) {
          const appended = out.append(text)
          if (text.length % 2 === 0) await appended
        }
        if (fails) throw new Error('once more')
      },
      { retry: { max: 50, baseMs: 1 } },
    )
  }
  if (later.length > 0) ctx.again({ laps: later })
}

const run = workflow('talk', talk)
/** A run that is removed soon after its end. */
const brief = workflow('brief', talk, { keep: { completed: '1s' } })

const tree = supervisor('app', {}, [chat, flows({ workflows: [run, brief] })])

/** The key of the operation of a piece. */
const keyOf = ({ step }: Piece, at: number): string => `${step === 'none' ? 'rest' : 'speak'} ${at}`

/** What a fork from the operation of a piece says: its body says all, and no copied step says anything. */
const forkSays = (lap: readonly Piece[], from: number): Said =>
  lap.flatMap(({ says, step }, at) => (step === 'none' || at >= from ? says : []))

const drawnPlan = (random: () => number, id: number): Plan => {
  let number = 0
  const upTo = (most: number): number => Math.floor(random() * (most + 1))
  const piece = (): Piece => ({
    says: Array.from({ length: upTo(5) }, () => `${id}/${number++}${'x'.repeat(upTo(300))}`),
    step: (['none', 'same', 'continue'] as const)[upTo(2)] ?? 'none',
    failures: upTo(2),
  })
  const lap = (): Piece[] => Array.from({ length: 1 + upTo(3) }, piece)
  return { laps: Array.from({ length: 1 + upTo(1) }, lap) }
}

/** A reader that keeps its offset, and what it has read before. */
type Reader = { readonly seen: string[]; offset: string | undefined }

const readOn = async (stream: StreamSource<string>, reader: Reader, most: number) => {
  const from = reader.offset === undefined ? {} : { from: reader.offset }
  let count = 0
  if (most === 0) return
  for await (const { value, offset } of stream.read({ ...from, live: false })) {
    reader.seen.push(value)
    reader.offset = offset
    if (++count === most) return
  }
}

const same = (what: string, found: readonly unknown[], wanted: readonly unknown[]): void => {
  if (JSON.stringify(found) === JSON.stringify(wanted)) return
  throw new Error(`${what}: ${JSON.stringify(found)}, and not ${JSON.stringify(wanted)}`)
}

/** Lives one life. @throws if a promise is broken */
export const liveStreams = async (seed: number): Promise<Tally> => {
  const random = seededRandom(seed)
  const upTo = (most: number): number => Math.floor(random() * (most + 1))
  const tally: Tally = { lives: 1 }
  const counts = (what: string): void => {
    tally[what] = (tally[what] ?? 0) + 1
  }
  const world = machine()
  const { clock, disk, during, pass } = world
  const after = (ms: number): Promise<void> =>
    new Promise((resolve) => void clock.after(ms, () => resolve()))
  const start = () => world.start({ app: tree, lmdb: { intervalMs: 5, quietMs: 2, maxLagMs: 20 } })
  const plans = Array.from({ length: 1 + upTo(2) }, (_, id) => drawnPlan(random, id))
  const wanted = plans.map(({ laps }) => laps.flatMap((lap) => lap.flatMap(({ says }) => says)))
  const readers: Reader[] = plans.map(() => ({ seen: [], offset: undefined }))
  const outOf = (app: App, id: number) => flow(app).handle(run, `${id}`).stream<string>('out')
  let app = await start()

  const deeds = async (): Promise<void> => {
    for (const [id, plan] of plans.entries())
      if (random() < 0.7) await flow(app).start(run, plan, { id: `${id}` })
    for (let left = upTo(6); left > 0; left--) {
      const chats = app.entity(chat)
      const id = `e${upTo(1)}`
      const what = random()
      if (what < 0.7) {
        const texts = Array.from({ length: upTo(3) }, () => `${id} ${random()}`)
        await call(chats.ref(id), 'say', texts).then(
          () => counts('turns'),
          (error) => {
            if (error.details?.reason !== 'ended') throw error
            counts('turns after an end')
          },
        )
      } else if (what < 0.85) {
        await call(chats.ref(id), 'refused', 'never').then(
          () => {
            throw new Error('a turn that says after its close was not refused')
          },
          () => counts('refused turns'),
        )
      } else if (what < 0.92) {
        await call(chats.ref(id), 'end', upTo(200)).then(
          () => counts('ends'),
          (error) => {
            if (error.details?.reason !== 'ended') throw error
          },
        )
      } else if (await chats.delete(id)) counts('removals')
      if (random() < 0.3) await after(upTo(20))
    }
  }

  const checks = async (): Promise<void> => {
    for (const id of ['e0', 'e1']) {
      const chats = app.entity(chat)
      for (;;) {
        const said = await chats.load(id)
        const all: Reader = { seen: [], offset: undefined }
        await readOn(chats.stream<string>(id, 'events'), all, Number.POSITIVE_INFINITY)
        // An entity that has ended may be removed between two looks.
        if (said && !(await chats.load(id))) continue
        same(`the stream of ${id}`, all.seen, said ?? [])
        break
      }
    }
    for (const [id, reader] of readers.entries()) {
      await readOn(outOf(app, id), reader, upTo(6))
      same(`a reader of ${id}`, reader.seen, (wanted[id] ?? []).slice(0, reader.seen.length))
    }
  }

  const crash = async (): Promise<void> => {
    disk.halt()
    await during(app.close({ deadlineMs: 0 })).catch(() => undefined)
    await during(app.system.stop()).catch(() => undefined)
    const isCut = random() < 0.5
    if (isCut) disk.crash()
    counts(isCut ? 'power cuts' : 'kills')
    disk.clearFaults()
    disk.killProcess()
    app = await start()
  }

  /** All that a run has said in the end, and whether its stream is closed. */
  const ended = async (what: string, stream: StreamSource<string>, reader: Reader, says: Said) => {
    await during(readOn(stream, reader, Number.POSITIVE_INFINITY))
    same(`the stream of ${what}`, reader.seen, says)
    const head = await during(stream.head())
    if (head && !head.isClosed) throw new Error(`${what} has ended, and its stream is open`)
  }

  /** A fork of a run that has ended, with a crash in it. */
  const forked = async (id: number, { laps }: Plan): Promise<void> => {
    const lap = laps.at(-1) ?? []
    const from = upTo(lap.length - 1)
    const terms = { from: keyOf(lap[from] as Piece, from), id: `fork of ${id}` }
    await during(flow(app).fork(run, `${id}`, terms))
    await pass(upTo(20))
    if (random() < 0.5) await crash()
    const fork = await during(flow(app).fork(run, `${id}`, terms))
    await during(fork.result(), 200_000)
    const reader: Reader = { seen: [], offset: undefined }
    await ended(terms.id, fork.stream<string>('out'), reader, forkSays(lap, from))
    counts('forks')
  }

  /** A run that is removed after its end, and its stream with it. */
  const removed = async (): Promise<void> => {
    const plan = drawnPlan(random, 9)
    const handle = await during(flow(app).start(brief, plan, { id: 'brief' }))
    await during(handle.result(), 200_000)
    const reader: Reader = { seen: [], offset: undefined }
    const says = plan.laps.flatMap((lap) => lap.flatMap((piece) => piece.says))
    await ended('a brief run', handle.stream<string>('out'), reader, says)
    if (random() < 0.5) await crash()
    await clock.advance(120_000)
    const stream = flow(app).handle(brief, 'brief').stream<string>('out')
    if (await during(stream.head())) throw new Error('a run is removed, and its stream is there')
    counts('removed runs')
  }

  for (let lives = 1 + upTo(3); lives > 0; lives--) {
    if (random() < 0.8) disk.inject({ at: 1 + upTo(80), fault: { kind: 'halt' } })
    await during(deeds(), 5_000).catch((error) => {
      if (!disk.isHalted) throw error
      counts('halts')
    })
    await pass(upTo(50))
    await crash()
    await during(checks())
  }
  for (const [id, plan] of plans.entries()) {
    const handle = await during(flow(app).start(run, plan, { id: `${id}` }))
    await during(handle.result(), 200_000)
    await ended(`run ${id}`, outOf(app, id), readers[id] as Reader, wanted[id] ?? [])
    counts('runs')
    if (random() < 0.5) await forked(id, plan)
  }
  if (random() < 0.3) await removed()
  await during(checks())
  await clock.advance(1_000)
  await during(app.close())
  return tally
}
