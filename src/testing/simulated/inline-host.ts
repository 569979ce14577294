/**
 * The log and the blobs of a shard without a thread, for simulations, on a given disk. A host
 * handles requests one after another, and answers each `delayMs` later by a given clock. So groups
 * form as they do while a real disk works. A spare segment is made in the background, step by step.
 * Requests, answers and errors cross as they do between threads: neither side has memory or objects
 * of the other.
 */

import { noMore } from '../../check.ts'
import type { Cancel, Clock } from '../../clock.ts'
import { KeelsonError } from '../../errors.ts'
import {
  type BlobHost,
  type BlobRequestKind,
  Blobs,
  type Commit,
  type CommitRequest,
  createLog,
  crossed,
  type Disk,
  type LogHost,
  type LogRequestKind,
  type PackedAnswer,
  packed,
  sparePreparation,
  transferred,
  unpacked,
} from '../../storage/index.ts'

/** The delay of answers. */
type AnswerDelay = {
  readonly clock: Clock
  /** From the work of a request to its answer, in ms; 0 by default: a later turn. */
  readonly delayMs?: number | (() => number)
}

/** The work of a host. */
type InlineWork<Kind, Request, Answer> = {
  /** The name of what it serves, in refusals. */
  readonly name: string
  readonly handle: (kind: Kind, request: Request) => Answer
  /** Whether the request cannot be handled now: `proceed` tries again. */
  readonly mustWait?: (kind: Kind, request: Request) => boolean
  /** Called when a request was handled, or none waits. */
  readonly proceeded?: () => void
}

type Pending = {
  readonly mustWait: () => boolean
  readonly carryOut: () => void
  readonly refuse: (error: KeelsonError) => void
}

/** Requests to a host: each is handled when the request before it has been answered. */
class InlineRequests<Kind, Request, Answer> {
  readonly #work: InlineWork<Kind, Request, Answer>
  readonly #delay: AnswerDelay
  #waiting: Pending[] = []
  #current: Pending | undefined
  #cancelAnswer: Cancel | undefined
  #isEnded = false

  constructor(work: InlineWork<Kind, Request, Answer>, delay: AnswerDelay) {
    this.#work = work
    this.#delay = delay
  }

  /** Handles a request in its turn. */
  run(kind: Kind, request: Request): Promise<Answer> {
    const { handle, mustWait } = this.#work
    return new Promise((resolve, reject) => {
      if (this.#isEnded) return reject(this.#closed())
      this.#waiting.push({
        refuse: reject,
        mustWait: () => mustWait?.(kind, request) === true,
        carryOut: () => {
          try {
            const answer = handle(kind, request)
            this.#settle(() => resolve(answer))
          } catch (error) {
            this.#settle(() => reject(error))
          }
        },
      })
      this.proceed()
    })
  }

  /** Handles the next request, unless one has no answer yet. */
  proceed(): void {
    if (this.#current) return
    this.#current = this.#waiting[0]?.mustWait() ? undefined : this.#waiting.shift()
    this.#current?.carryOut()
    this.#work.proceeded?.()
  }

  /**
   * The host of the requests. Its end refuses what waits, with `CLOSED`. A thread of several logs
   * still carries out what was sent before, so some of it takes effect. Then the work ends.
   */
  host(abandon: () => unknown) {
    return {
      run: (kind: Kind, request: unknown) => this.run(kind, request as Request) as Promise<never>,
      end: async (): Promise<void> => {
        if (this.#isEnded) return
        this.#isEnded = true
        const { clock } = this.#delay
        const sent = this.#refused()
        for (const pending of sent.slice(0, Math.floor(clock.random() * (sent.length + 1)))) {
          await new Promise<void>((resolve) => clock.soon(resolve))
          if (pending.mustWait()) break
          pending.carryOut()
        }
        await abandon()
      },
    }
  }

  /** Refuses all requests without an answer, and returns the ones that were not carried out. */
  #refused(): readonly Pending[] {
    this.#cancelAnswer?.()
    const waiting = this.#waiting
    this.#waiting = []
    for (const pending of this.#current ? [this.#current, ...waiting] : waiting)
      pending.refuse(this.#closed())
    return waiting
  }

  #settle(action: () => void): void {
    if (this.#isEnded) return
    const { clock, delayMs = 0 } = this.#delay
    const settled = (): void => {
      if (this.#isEnded) return
      action()
      this.#current = undefined
      this.proceed()
    }
    const ms = typeof delayMs === 'function' ? delayMs() : delayMs
    if (ms > 0) this.#cancelAnswer = clock.after(ms, settled)
    else clock.soon(settled)
  }

  #closed(): KeelsonError {
    return new KeelsonError('CLOSED', `${this.#work.name} ended`)
  }
}

/** The disk and the delays. */
type InlineLogHostOptions = AnswerDelay & {
  readonly disk: Disk
  /** How long `end` takes, as when a thread waits for its disk; 0 by default. */
  readonly endMs?: number
  /**
   * The time between two calls to the disk that make a spare in the background, in ms. Absent: a
   * spare is made when it is needed.
   */
  readonly spareStepMs?: number
}

/** Makes the host of a log. */
export const inlineLogHost = (
  { disk, endMs = 0, spareStepMs, ...delay }: InlineLogHostOptions,
  ...surplus: []
): LogHost => {
  noMore(surplus, 'inlineLogHost({ disk, … })')
  const { clock } = delay
  const log = createLog(disk, clock)
  let spare: Generator<void> | undefined
  let cancelStep: Cancel | undefined

  const makeSpare = (): void => {
    if (spareStepMs === undefined || spare) return
    const task = log.beginSpare()
    spare = task && sparePreparation(disk, task)
    if (spare) cancelStep = clock.after(spareStepMs, stepSpare)
  }

  const stepSpare = (): void => {
    if (!spare || spareStepMs === undefined) return
    if (stepOf(spare, (error) => log.settleSpare(error)))
      cancelStep = clock.after(spareStepMs, stepSpare)
    else {
      spare = undefined
      requests.proceed()
    }
  }

  const handle = (kind: LogRequestKind, request: never) =>
    unpacked(crossed(() => packed(log.handle(kind, request))) as PackedAnswer)
  const mustWait = (kind: LogRequestKind, request: never) => log.waitsForSpare(kind, request)
  const work = { name: 'The log was', handle, mustWait, proceeded: makeSpare }
  const requests = new InlineRequests(work, delay)
  const { run, end } = requests.host(async () => {
    if (endMs > 0) await new Promise<void>((resolve) => clock.after(endMs, resolve))
    cancelStep?.()
    log.abandon()
  })
  let commits = 0
  return {
    run: (kind: LogRequestKind, request: unknown) =>
      kind === 'commit' && commits++ % messagesEvery > 0
        ? throughLane(request as CommitRequest, (sent) => run(kind, sent))
        : run(kind, transferred(request)),
    end,
  }
}

/** Of so many commits one goes as a message, which takes its memory. The others go through the lane. */
const messagesEvery = 3

/**
 * A lane copies the bytes of a commit, and gives back memory that was given, whatever its size. The
 * next commit overwrites the lane.
 */
const throughLane = async (
  request: CommitRequest,
  run: (sent: CommitRequest) => Promise<Commit>,
): Promise<never> => {
  const { isGiven, bytes } = request
  const lane = new Uint8Array(bytes)
  const commit = await run({ ...request, bytes: lane })
  if (lane.byteLength > 0) lane.fill(0xd7)
  return (isGiven === true ? { ...commit, spent: bytes } : commit) as never
}

/** Takes one step of a preparation. False when it has ended; `settled` gets its error, if any. */
const stepOf = (spare: Generator<void>, settled: (error?: unknown) => void): boolean => {
  try {
    if (!spare.next().done) return true
    settled()
  } catch (error) {
    settled(error)
  }
  return false
}

/** The disk and the delays. */
type InlineBlobHostOptions = AnswerDelay & { readonly disk: Disk }

/**
 * Makes the host of blobs. The payloads of a put are gone for the caller, as with a thread. The
 * memory of a stream is given, and comes back.
 */
export const inlineBlobHost = (
  { disk, ...delay }: InlineBlobHostOptions,
  ...surplus: []
): BlobHost => {
  noMore(surplus, 'inlineBlobHost({ disk, … })')
  const blobs = new Blobs(disk)
  const handle = (kind: BlobRequestKind, request: never) =>
    crossed(() => blobs.handle(kind, request))
  const requests = new InlineRequests({ name: 'The blobs were', handle }, delay)
  const { run, end } = requests.host(() => blobs.abandon())
  return {
    run: (kind: BlobRequestKind, request: unknown) => run(kind, transferred(request)),
    end,
  }
}
