/**
 * The entity of a queue, and what keeps it awake. Its jobs are its own rows. Its handlers run in the
 * background (`queue-runner.ts`): a caller never waits for one.
 */
import { type DurableServer, madeOf, shardTime } from '../../actors/index.ts'
import { invalidArgument, missingDeclaration } from '../../errors.ts'
import { type ChildSpec, noReply, placeIn, reply } from '../../runtime/index.ts'
import { kindSpec } from '../../supervisors/index.ts'
import { type DrainRequest, drainPiece, pieceMax, removeJob } from '../book/removals.ts'
import { keptAwake, queueId, queueKind } from '../runs/parts.ts'
import type { QueueMessages, QueueRequest, QueueState } from './queue-messages.ts'
import { QueueRunner } from './queue-runner.ts'
import type { QueueTerms } from './queue-terms.ts'

/** The parts of the tree with a queue. */
export const queueSpecs = (terms: QueueTerms): readonly ChildSpec[] => {
  const kind = queueKind(terms.name)
  // The processes of one instance share their memory, those of another one do not.
  const server = (): Server => Object.assign(queueServer(terms), { [madeOf]: terms })
  const entity = (): ChildSpec => kindSpec(kind, server())
  return [{ ...entity(), start: (context) => entity().start(context) }, keptAwake(kind, queueId)]
}

type JobUpdate = Parameters<QueueMessages['calls']['update']>[0]
type Server = DurableServer<QueueMessages, QueueState, Record<never, never>, string, unknown>

const queueServer = (terms: QueueTerms): Server => {
  let runner: QueueRunner
  const ask = (
    from: unknown,
    does: QueueRequest['does'],
    { jobs, bytes } = { jobs: 0, bytes: 0 },
  ): void => runner.ask({ from: from as QueueRequest['from'], does, jobs, bytes })
  /** A call about a job. A run that waits in a queue is no job for its users. */
  const ofJobs =
    <P>(does: (payload: P, from: QueueRequest['from']) => void) =>
    (state: QueueState, payload: P, context: { readonly from: unknown }) => {
      const from = context.from as QueueRequest['from']
      if (terms.takesRuns) from.fail(invalidArgument('queue', 'a queue with a handler', terms.name))
      else does(payload, from)
      return noReply(state)
    }
  return {
    init: () => undefined,
    wake: async (state, context) => {
      const next = new QueueRunner(terms, state, context)
      await next.open(shardTime(context).now())
      runner = next
      context.background((work) => next.run(work))
    },
    calls: {
      add: (state, jobs, { from, system }) => {
        // A turn of a program whose queue had a handler has recorded it.
        if (terms.takesRuns) {
          from.fail(missingDeclaration(`handler of the queue ${terms.name}`))
          return noReply(state)
        }
        const bytes = jobs.reduce((sum, job) => sum + job.bytes, 0)
        const weight = { jobs: jobs.length, bytes }
        const trace = placeIn(system)
        // Its producer may have given it a place already.
        const placed = trace ? jobs.map((job) => ({ trace, ...job })) : jobs
        ask(from, (book, now, rows) => book.add(placed, now, rows), weight)
        return noReply(state)
      },
      enter: (state, { run, key = '', priority = 0 }, { from }) => {
        // The step that asks is repeated after a crash: a run has one place.
        const job = { job: run, key, priority, delayMs: 0, unique: run }
        ask(from, (book, now, rows) => void book.add([job], now, rows), { jobs: 1, bytes: 512 })
        return noReply(state)
      },
      pause: (state, isPaused, { from }) => {
        ask(from, (book) => {
          book.isPaused = isPaused
        })
        return noReply(state)
      },
      limits: (state) => reply(runner.limits, state),
      changeLimits: (state, change, { from }) => {
        ask(from, (book, now, rows) => book.changeLimits(change, now, rows))
        return noReply(state)
      },
      retry: (state, number, { from }) => {
        ask(from, (book, now, rows) => book.retry(number, now, rows))
        return noReply(state)
      },
      remove: ofJobs((number: number, from) => {
        ask(from, (book, _, rows) => removeJob(book, number, rows))
      }),
      drain: ofJobs((request: DrainRequest, from) => {
        const weight = { jobs: pieceMax, bytes: 0 }
        ask(from, (book, _, rows) => drainPiece(book, request, rows), weight)
      }),
      update: ofJobs(({ number, ...change }: JobUpdate, from) => {
        ask(from, (book, now, rows) => book.update(number, change, now, rows))
      }),
      job: ofJobs((number: number, from) => runner.callers.look(number, from)),
      result: ofJobs((number: number, from) => runner.callers.wait(number, from)),
      place: (state, run) => reply(runner.place(run), state),
      look: (state) => reply(runner.look(), state),
      holds: (state, keys) => reply(runner.holds(keys), state),
      stay: (state) => noReply(state),
    },
  }
}
